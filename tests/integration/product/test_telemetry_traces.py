"""What the product shows of its work, over OTLP: a span for each command and login, in traces that can be followed."""

from itertools import chain

import pytest

from tests.integration.product.scenario import NONSENSE, STRANGERS_TRACEPARENT
from tests.integration.product.scenario_results import Told, linked
from tests.support.telemetry.received import ReceivedSpan

pytestmark = pytest.mark.xdist_group("product-telemetry")

# --- spans of commands


@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_every_command_has_a_span(told: Told, protocol: str) -> None:
    spans = told.commands(protocol)
    assert len(spans) == told.tally(protocol).commands.total()
    for span in spans:
        verb = span.attributes[f"{protocol}.command"]
        assert span.name == f"{protocol}.command.{verb.lower()}"
        assert span.scope == f"Relate.{protocol.capitalize()}"
        assert span.attributes[f"{protocol}.session_id"]
        assert span.attributes[f"{protocol}.state"]


def test_sessions_have_ids_of_their_own(told: Told) -> None:
    for protocol in ("smtp", "pop3"):
        sessions = told.seen.spans(f"{protocol}.session")
        ids = {span.attributes[f"{protocol}.session_id"] for span in sessions}
        assert len(ids) == len(sessions)
        assert {span.attributes[f"{protocol}.session_id"] for span in told.commands(protocol)} <= ids


def test_states_are_those_of_the_rfcs(told: Told) -> None:
    states = {(span.attributes["pop3.command"], span.attributes["pop3.state"]) for span in told.commands("pop3")}
    assert {("PASS", "AUTHORIZATION"), ("RETR", "TRANSACTION"), ("QUIT", "TRANSACTION")} <= states
    assert {span.attributes["smtp.state"] for span in told.seen.spans("smtp.command.data")} >= {"mail", "rcpt"}


def test_a_clients_mistakes_are_no_errors_of_ours(told: Told) -> None:
    refused = [span for span in told.seen.spans() if "refused" in span.attributes.values()]
    assert len(refused) > 2 * len(NONSENSE)
    assert {span.status for span in refused} == {"UNSET"}


def test_trouble_of_ours_is_an_error_with_its_exception(told: Told) -> None:
    failed = [span for span in told.commands("smtp") + told.commands("pop3") if span.status == "ERROR"]
    assert sorted(span.name for span in failed) == ["pop3.command.pass", "smtp.command.data"]
    for span in failed:
        assert span.attributes["exception.type"] == "relate_mailstore.errors.StoreUnavailable"
        assert span.attributes["exception.message"]
    data = next(span for span in failed if span.name == "smtp.command.data")
    assert told.by_id(data.parent_id).status == "ERROR"


# --- spans of logins


ATTRIBUTES = ("user", "cache_hit", "success", "rate_limited", "failure_reason", "key_name")


def verdict(span: ReceivedSpan) -> tuple[object, ...]:
    """What an auth span says, in the order of ATTRIBUTES."""
    prefix = span.name.removesuffix("validate")
    return tuple(span.attributes.get(f"{prefix}{key}") for key in ATTRIBUTES)


@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_every_login_has_a_span_with_its_six_attributes(told: Told, protocol: str) -> None:
    spans = told.seen.spans(f"{protocol}.auth.validate")
    verdicts = {verdict(span) for span in spans}
    alice = told.story.alice.address
    assert len(spans) == told.tally(protocol).logins
    assert verdicts >= {
        (alice, False, False, False, "invalid_key", None),
        (alice, False, False, False, "missing_scope", None),
        (f"nobody.{protocol}@example.test", False, False, False, "user_not_found", None),
        (alice, True, True, False, None, "laptop"),  # the same verdict serves all protocols of a process
    }


@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_logins_as_another_user_are_among_those_without_the_scope(told: Told, protocol: str) -> None:
    reasons = [verdict(span)[4] for span in told.seen.spans(f"{protocol}.auth.validate")]
    assert reasons.count("missing_scope") == told.story.reasons[f"{protocol} missing_scope"] == 2


def test_the_first_login_is_looked_up_and_the_next_remembered(told: Told) -> None:
    spans = [*told.seen.spans("smtp.auth.validate"), *told.seen.spans("pop3.auth.validate")]
    alices = [
        verdict(span)[1]
        for span in sorted(spans, key=lambda span: span.start)
        if verdict(span)[0] == told.story.alice.address and verdict(span)[2]
    ]
    assert alices[:2] == [False, True]


def test_limited_logins_say_so(told: Told) -> None:
    verdicts = [verdict(span) for span in told.seen.spans("pop3.auth.validate")]
    limited = [each for each in verdicts if each[3]]
    assert {(user, *rest) for user, _, *rest in limited} == {(told.story.bob.address, False, True, "invalid_key", None)}
    assert len(limited) == told.story.reasons["pop3 rate_limited"]
    assert sum(each[4] == "invalid_key" and not each[3] for each in verdicts) == told.story.reasons["pop3 invalid_key"]


# --- the shape of traces


def test_an_smtp_transaction_is_one_trace_from_its_root_to_the_statements(told: Told) -> None:
    root = told.delivery()
    below = told.below(root)
    assert (root.parent_id, root.kind) == ("", "SERVER")
    assert [span.name for span in sorted(below, key=lambda span: span.start) if span.parent_id == root.span_id] == [
        "smtp.command.mail",
        "smtp.command.rcpt",
        "smtp.command.data",
    ]
    assert {span.trace_id for span in below} == {root.trace_id}
    (deliver,) = [span for span in below if span.name == "mailstore.deliver"]
    assert told.by_id(deliver.parent_id).name == "smtp.command.data"
    statements = [span for span in below if span.attributes.get("db.query.text", "").startswith("INSERT")]
    assert statements
    assert all(span.kind == "CLIENT" for span in statements)


def test_a_transaction_is_linked_to_its_session(told: Told) -> None:
    sessions = {span.attributes["smtp.session_id"]: span for span in told.seen.spans("smtp.session")}
    transactions = told.seen.spans("smtp.transaction")
    assert len(transactions) == told.story.smtp.commands["MAIL"]
    for span in transactions:
        session = sessions[span.attributes["smtp.session_id"]]
        assert session.traceparent in linked(span)
        assert session.trace_id != span.trace_id


def test_a_login_stands_below_its_command_and_above_its_statements(told: Told) -> None:
    looked_up = [span for span in told.seen.spans("smtp.auth.validate") if not verdict(span)[1]]
    for span in looked_up:
        assert told.by_id(span.parent_id).name == "smtp.command.auth"
        assert any("api_keys" in child.attributes.get("db.query.text", "") for child in told.below(span))


def test_a_pop3_session_is_one_trace(told: Told) -> None:
    for session in told.seen.spans("pop3.session"):
        assert session.parent_id == ""
        of_session = [
            span
            for span in told.commands("pop3")
            if span.attributes["pop3.session_id"] == session.attributes["pop3.session_id"]
        ]
        assert {(span.trace_id, span.parent_id) for span in of_session} <= {(session.trace_id, session.span_id)}


def test_readers_are_linked_to_the_transaction_that_delivered(told: Told) -> None:
    readers = [span for span in told.seen.spans() if told.delivery().traceparent in linked(span)]
    assert sorted(span.name for span in readers) == [
        "GET /api/external/emails/{email_id:uuid}/raw",
        "pop3.command.retr",
    ]


def test_a_message_keeps_the_traceparent_of_its_transaction(told: Told) -> None:
    assert len(told.story.origins) == told.story.smtp.messages
    for origin in told.story.origins:
        version, trace_id, span_id, flags = origin.split("-")
        transaction = told.by_id(span_id)
        assert (version, trace_id, transaction.name) == ("00", transaction.trace_id, "smtp.transaction")
        assert int(flags, 16) & 1  # sampled


def test_every_message_retrieved_names_its_delivery(told: Told) -> None:
    transactions = {span.traceparent for span in told.seen.spans("smtp.transaction")}
    reads = [span for span in told.seen.spans("pop3.command.retr") if span.attributes["pop3.outcome"] == "ok"]
    assert len(reads) == told.story.pop3.messages
    for span in reads:
        assert len(linked(span)) == 1
        assert set(linked(span)) <= transactions


def test_a_submissions_traceparent_is_a_link_and_a_strangers_is_ignored(told: Told) -> None:
    assert len(linked(told.delivery())) == 2
    everywhere = list(chain.from_iterable(linked(span) for span in told.seen.spans()))
    assert STRANGERS_TRACEPARENT not in everywhere
