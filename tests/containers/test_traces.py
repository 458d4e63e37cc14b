"""What Jaeger shows of one message: from the connection that brought it, through the store, to those that read it."""

import poplib
import time
from typing import NamedTuple

import pytest

from tests.containers.accounts import Account, message, new_account
from tests.containers.jaeger import Jaeger, Span, Trace
from tests.containers.project import Project
from tests.containers.waiting import eventually


class Followed(NamedTuple):
    """One message's way."""

    sender: Account
    session: Trace
    transaction: Trace
    pop3: Trace
    raw: Trace


@pytest.fixture(scope="module")
def began() -> float:
    """When this module began to drive the stack."""
    return time.time()


@pytest.fixture(scope="module")
def followed(stack: Project, jaeger: Jaeger, began: float) -> Followed:
    """Alice submits a message to Bob, who fetches it by POP3 and over the API."""
    alice, bob = new_account(stack, "alice"), new_account(stack, "bob")
    with stack.submission(*alice) as client:
        client.sendmail(alice.address, [bob.address], message("Followed"))
    with stack.pop3(*bob) as client:
        client.retr(1)
    with stack.api(bob.key) as client:
        (row,) = client.get("/emails").json()["items"]
        assert client.get(f"/emails/{row['id']}/raw").is_success

    session = whole(jaeger, "smtp", "smtp.session", smtp_auth(alice, jaeger, began))
    transaction = whole(jaeger, "smtp", "smtp.transaction", session.one("smtp.session").tags["smtp.session_id"])
    (login,) = logins(jaeger, "pop3", bob, began)
    raw = "GET /api/external/emails/{email_id:uuid}/raw"
    reading = eventually(
        lambda: [trace for trace in jaeger.traces("relate-api", raw, since=began) if linked(trace, raw)]
    )
    return Followed(
        alice, session, transaction, whole(jaeger, "pop3", "pop3.session", login.tags["pop3.session_id"]), reading[0]
    )


def logins(jaeger: Jaeger, protocol: str, account: Account, began: float) -> list[Span]:
    """The commands that logged this account in; they end, and so may arrive, later than what is below them."""
    name, user = f"{protocol}.auth.validate", {f"{protocol}.auth.user": account.address}

    def look() -> list[Span]:
        found = jaeger.traces(f"relate-{protocol}", name, user, began)
        return [above for trace in found for span in trace.named(name) for above in parents(trace, span)]

    return eventually(look)


def smtp_auth(account: Account, jaeger: Jaeger, began: float) -> str:
    """The session in which this account logged in."""
    (command,) = logins(jaeger, "smtp", account, began)
    session_id: str = command.tags["smtp.session_id"]
    return session_id


def whole(jaeger: Jaeger, protocol: str, root: str, session_id: str) -> Trace:
    """The trace that this span of a session is the root of: it ends last, so everything below it is there."""

    def look() -> list[Trace]:
        return jaeger.traces(f"relate-{protocol}", root, {f"{protocol}.session_id": session_id})

    (trace,) = eventually(look)
    return trace


def parents(trace: Trace, span: Span) -> list[Span]:
    """The span above it; none while it has not arrived."""
    return [each for each in trace if each.span_id == span.parent_id]


def parent(trace: Trace, span: Span) -> Span:
    """The span above it."""
    (found,) = parents(trace, span)
    return found


def linked(trace: Trace, name: str) -> frozenset[tuple[str, str]]:
    """What the spans of that name refer to."""
    return frozenset().union(*(span.links for span in trace.named(name)))


def test_every_service_is_known_to_jaeger(jaeger: Jaeger, followed: Followed) -> None:
    assert jaeger.services() >= {"relate-smtp", "relate-pop3", "relate-api"}


def test_transaction_has_its_commands_below_it(followed: Followed) -> None:
    root = followed.transaction.one("smtp.transaction")
    commands = [span for span in followed.transaction if span.parent_id == root.span_id]
    assert sorted(span.name for span in commands) == ["smtp.command.data", "smtp.command.mail", "smtp.command.rcpt"]
    for span in commands:
        assert span.tags["smtp.session_id"] == root.tags["smtp.session_id"]
        assert span.tags["smtp.command"] == span.name.rpartition(".")[2].upper()
        assert span.tags["smtp.outcome"] == "ok"


def test_store_and_statements_are_below_the_data(followed: Followed) -> None:
    trace = followed.transaction
    deliver = trace.one("mailstore.deliver")
    assert parent(trace, deliver).name == "smtp.command.data"
    statements = [span.tags["db.query.text"] for span in trace.below(deliver) if "db.query.text" in span.tags]
    for table in ("blobs", "messages", "entries"):
        assert any(text.startswith(f"INSERT INTO {table} ") for text in statements)


def test_transaction_is_linked_to_the_session_that_logged_in(followed: Followed) -> None:
    session = followed.session.one("smtp.session")
    assert session.id in followed.transaction.one("smtp.transaction").links
    assert followed.session.one("smtp.auth.validate").tags["smtp.auth.user"] == followed.sender.address


@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_login_has_its_tags_and_its_statements(followed: Followed, protocol: str) -> None:
    trace = followed.session if protocol == "smtp" else followed.pop3
    login = trace.one(f"{protocol}.auth.validate")
    told = {name.removeprefix(f"{protocol}.auth."): value for name, value in login.tags.items()}
    assert told.items() >= {
        ("cache_hit", False),
        ("success", True),
        ("rate_limited", False),
        ("key_name", "laptop"),
    }
    assert any("api_keys" in span.tags.get("db.query.text", "") for span in trace.below(login))


def test_pop3_session_is_one_trace_and_its_retr_is_linked_to_the_delivery(followed: Followed) -> None:
    retr = followed.pop3.one("pop3.command.retr")
    assert parent(followed.pop3, retr).name == "pop3.session"
    assert followed.transaction.one("smtp.transaction").id in retr.links
    assert any(span.name == "mailstore.open" for span in followed.pop3.below(retr))


def test_api_request_is_linked_to_the_delivery(followed: Followed) -> None:
    (request,) = [span for span in followed.raw if span.parent_id is None]
    assert followed.transaction.one("smtp.transaction").id in request.links


def test_imap_fetch_is_a_trace_of_its_own_linked_to_the_delivery(
    stack: Project, jaeger: Jaeger, alice: Account, began: float
) -> None:
    with stack.mx() as mx:
        mx.sendmail("stranger@example.org", [alice.address], message("Fetched"))
    with stack.imap(*alice) as client:
        client.select()
        assert client.fetch("1", "(FLAGS BODY[])")[0] == "OK"
    (login,) = logins(jaeger, "imap", alice, began)
    session_id = login.tags["imap.session_id"]
    trace = whole(jaeger, "imap", "imap.command.fetch", session_id)
    fetch = trace.one("imap.command.fetch")
    assert fetch.parent_id is None
    assert fetch.tags["imap.state"]
    (origin,) = eventually(lambda: fetch.links & deliveries(jaeger, began))
    assert origin[0] != fetch.trace_id


def deliveries(jaeger: Jaeger, began: float) -> frozenset[tuple[str, str]]:
    """All transactions that have arrived; another service sends them than those who read."""
    found = jaeger.traces("relate-smtp", "smtp.transaction", since=began)
    return frozenset(span.id for trace in found for span in trace.named("smtp.transaction"))


def test_wrong_login_says_why(stack: Project, jaeger: Jaeger, alice: Account, began: float) -> None:
    with pytest.raises(poplib.error_proto, match="AUTH"), stack.pop3(alice.address, "wrong"):
        pass
    wrong = {"pop3.auth.user": alice.address, "pop3.auth.success": "false"}
    (trace,) = eventually(lambda: jaeger.traces("relate-pop3", "pop3.auth.validate", wrong, began))
    assert trace.one("pop3.auth.validate").tags["pop3.auth.failure_reason"] == "invalid_key"
