"""The traces of one message in Jaeger: its session, its transaction, and its readers."""

import poplib
import time
from typing import NamedTuple

import pytest

from tests.containers.accounts import Account, message, new_account
from tests.containers.jaeger import Jaeger, Span, Trace
from tests.containers.project import Project
from tests.containers.waiting import eventually


class Followed(NamedTuple):
    """The sender and the traces of one message."""

    sender: Account
    session: Trace
    transaction: Trace
    pop3: Trace
    raw: Trace


@pytest.fixture(scope="module")
def start() -> float:
    """The time at which the tests of this module started."""
    return time.time()


@pytest.fixture(scope="module")
def followed(stack: Project, jaeger: Jaeger, start: float) -> Followed:
    """Alice submits a message to Bob, who fetches it by POP3 and over the API."""
    alice, bob = new_account(stack, "alice"), new_account(stack, "bob")
    with stack.submission(*alice) as client:
        client.sendmail(alice.address, [bob.address], message("Followed"))
    with stack.pop3(*bob) as client:
        client.retr(1)
    with stack.api(bob.key) as client:
        (row,) = client.get("/emails").json()["items"]
        assert client.get(f"/emails/{row['id']}/raw").is_success

    session = complete_trace(jaeger, "smtp", "smtp.session", smtp_auth(alice, jaeger, start))
    transaction = complete_trace(
        jaeger, "smtp", "smtp.transaction", session.one("smtp.session").tags["smtp.session_id"]
    )
    (login,) = logins(jaeger, "pop3", bob, start)
    raw = "GET /api/external/emails/{email_id:uuid}/raw"
    reading = eventually(
        lambda: [trace for trace in jaeger.traces("relate-api", raw, since=start) if linked(trace, raw)]
    )
    return Followed(
        alice,
        session,
        transaction,
        complete_trace(jaeger, "pop3", "pop3.session", login.tags["pop3.session_id"]),
        reading[0],
    )


def logins(jaeger: Jaeger, protocol: str, account: Account, start: float) -> list[Span]:
    """The commands in which this account logged in. They end after their children, and may arrive later."""
    name, user = f"{protocol}.auth.validate", {f"{protocol}.auth.user": account.address}

    def find() -> list[Span]:
        found = jaeger.traces(f"relate-{protocol}", name, user, start)
        return [command for trace in found for span in trace.named(name) for command in parents(trace, span)]

    return eventually(find)


def smtp_auth(account: Account, jaeger: Jaeger, start: float) -> str:
    """The id of the session in which this account logged in."""
    (command,) = logins(jaeger, "smtp", account, start)
    session_id: str = command.tags["smtp.session_id"]
    return session_id


def complete_trace(jaeger: Jaeger, protocol: str, root: str, session_id: str) -> Trace:
    """The trace with this root in a session. The root ends last, so the trace is complete."""

    def find() -> list[Trace]:
        return jaeger.traces(f"relate-{protocol}", root, {f"{protocol}.session_id": session_id})

    (trace,) = eventually(find)
    return trace


def parents(trace: Trace, span: Span) -> list[Span]:
    """The parent of a span, in a list; empty until it has arrived."""
    return [each for each in trace if each.span_id == span.parent_id]


def parent(trace: Trace, span: Span) -> Span:
    """The parent of a span."""
    (found,) = parents(trace, span)
    return found


def linked(trace: Trace, name: str) -> frozenset[tuple[str, str]]:
    """The links of the spans of that name."""
    return frozenset().union(*(span.links for span in trace.named(name)))


def test_jaeger_has_spans_of_every_service(jaeger: Jaeger, followed: Followed) -> None:
    assert jaeger.services() >= {"relate-smtp", "relate-pop3", "relate-api"}


def test_commands_are_children_of_the_transaction(followed: Followed) -> None:
    root = followed.transaction.one("smtp.transaction")
    commands = [span for span in followed.transaction if span.parent_id == root.span_id]
    assert sorted(span.name for span in commands) == ["smtp.command.data", "smtp.command.mail", "smtp.command.rcpt"]
    for span in commands:
        assert span.tags["smtp.session_id"] == root.tags["smtp.session_id"]
        assert span.tags["smtp.command"] == span.name.rpartition(".")[2].upper()
        assert span.tags["smtp.outcome"] == "ok"


def test_store_and_statements_are_below_data(followed: Followed) -> None:
    trace = followed.transaction
    deliver = trace.one("mailstore.deliver")
    assert parent(trace, deliver).name == "smtp.command.data"
    statements = [span.tags["db.query.text"] for span in trace.below(deliver) if "db.query.text" in span.tags]
    for table in ("blobs", "messages", "entries"):
        assert any(text.startswith(f"INSERT INTO {table} ") for text in statements)


def test_transaction_links_to_the_session(followed: Followed) -> None:
    session = followed.session.one("smtp.session")
    assert session.id in followed.transaction.one("smtp.transaction").links
    assert followed.session.one("smtp.auth.validate").tags["smtp.auth.user"] == followed.sender.address


@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_login_has_attributes_and_statements(followed: Followed, protocol: str) -> None:
    trace = followed.session if protocol == "smtp" else followed.pop3
    login = trace.one(f"{protocol}.auth.validate")
    tags = {name.removeprefix(f"{protocol}.auth."): value for name, value in login.tags.items()}
    assert tags.items() >= {
        ("cache_hit", False),
        ("success", True),
        ("rate_limited", False),
        ("key_name", "laptop"),
    }
    assert any("api_keys" in span.tags.get("db.query.text", "") for span in trace.below(login))


def test_pop3_session_is_one_trace_and_retr_links_to_the_delivery(followed: Followed) -> None:
    retr = followed.pop3.one("pop3.command.retr")
    assert parent(followed.pop3, retr).name == "pop3.session"
    assert followed.transaction.one("smtp.transaction").id in retr.links
    assert any(span.name == "mailstore.open" for span in followed.pop3.below(retr))


def test_api_request_links_to_the_delivery(followed: Followed) -> None:
    (request,) = [span for span in followed.raw if span.parent_id is None]
    assert followed.transaction.one("smtp.transaction").id in request.links


def test_imap_fetch_is_a_trace_that_links_to_the_delivery(
    stack: Project, jaeger: Jaeger, alice: Account, start: float
) -> None:
    with stack.mx() as mx:
        mx.sendmail("stranger@example.org", [alice.address], message("Fetched"))
    with stack.imap(*alice) as client:
        client.select()
        assert client.fetch("1", "(FLAGS BODY[])")[0] == "OK"
    (login,) = logins(jaeger, "imap", alice, start)
    session_id = login.tags["imap.session_id"]
    trace = complete_trace(jaeger, "imap", "imap.command.fetch", session_id)
    fetch = trace.one("imap.command.fetch")
    assert fetch.parent_id is None
    assert fetch.tags["imap.state"]
    (origin,) = eventually(lambda: fetch.links & deliveries(jaeger, start))
    assert origin[0] != fetch.trace_id


def deliveries(jaeger: Jaeger, start: float) -> frozenset[tuple[str, str]]:
    """All transactions in Jaeger, which arrive independently of the readers' traces."""
    found = jaeger.traces("relate-smtp", "smtp.transaction", since=start)
    return frozenset(span.id for trace in found for span in trace.named("smtp.transaction"))


def test_wrong_login_has_a_reason(stack: Project, jaeger: Jaeger, alice: Account, start: float) -> None:
    with pytest.raises(poplib.error_proto, match="AUTH"), stack.pop3(alice.address, "wrong"):
        pass
    wrong = {"pop3.auth.user": alice.address, "pop3.auth.success": "false"}
    (trace,) = eventually(lambda: jaeger.traces("relate-pop3", "pop3.auth.validate", wrong, start))
    assert trace.one("pop3.auth.validate").tags["pop3.auth.failure_reason"] == "invalid_key"
