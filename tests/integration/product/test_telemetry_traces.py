"""Traces over OTLP: a span per command and login, and the links between traces."""

from collections import Counter
from itertools import chain

import pytest

from relate_telemetry.names import TRANSACTION_OUTCOMES
from tests.integration.product.scenario import FOREIGN_TRACEPARENT, UNKNOWN_COMMANDS
from tests.integration.product.scenario_results import ScenarioResults, linked
from tests.support.telemetry.received import ReceivedSpan

pytestmark = pytest.mark.xdist_group("product-telemetry")

# --- spans of commands


@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_every_command_has_a_span(results: ScenarioResults, protocol: str) -> None:
    spans = results.commands(protocol)
    assert len(spans) == results.counts(protocol).commands.total()
    for span in spans:
        verb = span.attributes[f"{protocol}.command"]
        assert span.name == f"{protocol}.command.{verb.lower()}"
        assert span.scope == f"Relate.{protocol.capitalize()}"
        assert span.attributes[f"{protocol}.session_id"]
        assert span.attributes[f"{protocol}.state"]


def test_every_session_has_a_unique_id(results: ScenarioResults) -> None:
    for protocol in ("smtp", "pop3"):
        sessions = results.receiver.spans(f"{protocol}.session")
        ids = {span.attributes[f"{protocol}.session_id"] for span in sessions}
        assert len(ids) == len(sessions)
        assert {span.attributes[f"{protocol}.session_id"] for span in results.commands(protocol)} <= ids


def test_every_session_has_a_span_from_accept_to_the_greeting(results: ScenarioResults) -> None:
    for protocol in ("smtp", "pop3"):
        sessions = {span.span_id: span for span in results.receiver.spans(f"{protocol}.session")}
        connects = results.receiver.spans(f"{protocol}.connect")
        assert {span.parent_id for span in connects} == sessions.keys()
        for span in connects:
            assert span.attributes.items() <= sessions[span.parent_id].attributes.items()


def test_every_handshake_has_a_span_and_names_the_version_on_its_session(results: ScenarioResults) -> None:
    handshakes = results.receiver.spans("smtp.tls.handshake")
    assert len(handshakes) == len(results.receiver.spans("smtp.command.starttls"))
    for span in handshakes:
        session = results.span_by_id(span.parent_id)
        versions = {each.attributes["tls.protocol.version"] for each in (span, session)}
        assert (session.name, versions) == ("smtp.session", {"1.3"})


def test_only_transactions_that_stored_a_message_are_ok(results: ScenarioResults) -> None:
    outcomes = Counter(span.attributes["smtp.outcome"] for span in results.receiver.spans("smtp.transaction"))
    assert outcomes["ok"] == results.scenario.smtp.messages
    assert {"refused", "failed"} <= outcomes.keys() <= TRANSACTION_OUTCOMES


def test_states_are_those_of_the_rfcs(results: ScenarioResults) -> None:
    states = {(span.attributes["pop3.command"], span.attributes["pop3.state"]) for span in results.commands("pop3")}
    assert {("PASS", "AUTHORIZATION"), ("RETR", "TRANSACTION"), ("QUIT", "TRANSACTION")} <= states
    assert {span.attributes["smtp.state"] for span in results.receiver.spans("smtp.command.data")} >= {"mail", "rcpt"}


def test_refused_commands_are_not_errors(results: ScenarioResults) -> None:
    refused = [span for span in results.receiver.spans() if "refused" in span.attributes.values()]
    assert len(refused) > 2 * len(UNKNOWN_COMMANDS)
    assert {span.status for span in refused} == {"UNSET"}


def test_a_store_failure_is_an_error_with_its_exception(results: ScenarioResults) -> None:
    failed = [span for span in results.commands("smtp") + results.commands("pop3") if span.status == "ERROR"]
    assert sorted(span.name for span in failed) == ["pop3.command.pass", "smtp.command.data"]
    for span in failed:
        assert span.attributes["exception.type"] == "relate_mailstore.errors.StoreUnavailable"
        assert span.attributes["exception.message"]
    data = next(span for span in failed if span.name == "smtp.command.data")
    assert results.span_by_id(data.parent_id).status == "ERROR"


# --- spans of logins


ATTRIBUTES = ("user", "cache_hit", "success", "rate_limited", "failure_reason", "key_name")


def auth_attributes(span: ReceivedSpan) -> tuple[object, ...]:
    """The attributes of an auth span, in the order of ATTRIBUTES."""
    prefix = span.name.removesuffix("validate")
    return tuple(span.attributes.get(f"{prefix}{key}") for key in ATTRIBUTES)


@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_every_login_has_a_span_with_its_six_attributes(results: ScenarioResults, protocol: str) -> None:
    spans = results.receiver.spans(f"{protocol}.auth.validate")
    attributes = {auth_attributes(span) for span in spans}
    alice = results.scenario.alice.address
    assert len(spans) == results.counts(protocol).logins
    assert attributes >= {
        (alice, False, False, False, "invalid_key", None),
        (alice, False, False, False, "missing_scope", None),
        (f"nobody.{protocol}@example.test", False, False, False, "user_not_found", None),
        (alice, True, True, False, None, "laptop"),  # all protocols of a process share the cache
    }


@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_logins_as_another_user_count_as_missing_scope(results: ScenarioResults, protocol: str) -> None:
    reasons = [auth_attributes(span)[4] for span in results.receiver.spans(f"{protocol}.auth.validate")]
    assert reasons.count("missing_scope") == results.scenario.reasons[f"{protocol} missing_scope"] == 2


def test_the_second_login_is_a_cache_hit(results: ScenarioResults) -> None:
    spans = [*results.receiver.spans("smtp.auth.validate"), *results.receiver.spans("pop3.auth.validate")]
    alices = [
        auth_attributes(span)[1]
        for span in sorted(spans, key=lambda span: span.start)
        if auth_attributes(span)[0] == results.scenario.alice.address and auth_attributes(span)[2]
    ]
    assert alices[:2] == [False, True]


def test_rate_limited_logins_are_marked(results: ScenarioResults) -> None:
    attributes = [auth_attributes(span) for span in results.receiver.spans("pop3.auth.validate")]
    limited = [each for each in attributes if each[3]]
    assert {(user, *rest) for user, _, *rest in limited} == {
        (results.scenario.bob.address, False, True, "invalid_key", None)
    }
    assert len(limited) == results.scenario.reasons["pop3 rate_limited"]
    assert (
        sum(each[4] == "invalid_key" and not each[3] for each in attributes)
        == results.scenario.reasons["pop3 invalid_key"]
    )


# --- the shape of traces


def test_an_smtp_transaction_is_one_trace_down_to_its_statements(results: ScenarioResults) -> None:
    root = results.delivery()
    descendants = results.descendants(root)
    assert (root.parent_id, root.kind) == ("", "SERVER")
    assert [
        span.name for span in sorted(descendants, key=lambda span: span.start) if span.parent_id == root.span_id
    ] == [
        "smtp.command.mail",
        "smtp.command.rcpt",
        "smtp.command.data",
    ]
    assert {span.trace_id for span in descendants} == {root.trace_id}
    (deliver,) = [span for span in descendants if span.name == "mailstore.deliver"]
    assert results.span_by_id(deliver.parent_id).name == "smtp.command.data"
    statements = [span for span in descendants if span.attributes.get("db.query.text", "").startswith("INSERT")]
    assert statements
    assert all(span.kind == "CLIENT" for span in statements)


def test_every_statement_is_part_of_a_command_a_request_or_background_work(results: ScenarioResults) -> None:
    statements = [span for span in results.receiver.spans() if span.scope == "Relate.Sql"]
    ids = {span.span_id for span in results.receiver.spans()}
    assert len(statements) > 100
    assert {span.attributes["db.query.text"] for span in statements if span.parent_id not in ids} == set()


def test_background_work_has_traces_of_its_own(results: ScenarioResults) -> None:
    roots = {span.name for span in results.receiver.spans() if span.scope == "Relate.Store" and not span.parent_id}
    assert roots >= {"mailstore.schema.migrate", "mailstore.upkeep.texts", "accounts.last_used"}


def test_a_transaction_is_linked_to_its_session(results: ScenarioResults) -> None:
    sessions = {span.attributes["smtp.session_id"]: span for span in results.receiver.spans("smtp.session")}
    transactions = results.receiver.spans("smtp.transaction")
    assert len(transactions) == results.scenario.smtp.commands["MAIL"]
    for span in transactions:
        session = sessions[span.attributes["smtp.session_id"]]
        assert session.traceparent in linked(span)
        assert session.trace_id != span.trace_id


def test_a_login_span_is_below_its_command_and_above_its_statements(results: ScenarioResults) -> None:
    cache_misses = [span for span in results.receiver.spans("smtp.auth.validate") if not auth_attributes(span)[1]]
    for span in cache_misses:
        assert results.span_by_id(span.parent_id).name == "smtp.command.auth"
        assert any("api_keys" in child.attributes.get("db.query.text", "") for child in results.descendants(span))


def test_a_pop3_session_is_one_trace(results: ScenarioResults) -> None:
    for session in results.receiver.spans("pop3.session"):
        assert session.parent_id == ""
        of_session = [
            span
            for span in results.commands("pop3")
            if span.attributes["pop3.session_id"] == session.attributes["pop3.session_id"]
        ]
        assert {(span.trace_id, span.parent_id) for span in of_session} <= {(session.trace_id, session.span_id)}


def test_readers_are_linked_to_the_delivering_transaction(results: ScenarioResults) -> None:
    readers = [span for span in results.receiver.spans() if results.delivery().traceparent in linked(span)]
    assert sorted(span.name for span in readers) == [
        "GET /api/external/emails/{email_id:uuid}/raw",
        "pop3.command.retr",
    ]


def test_a_message_stores_the_traceparent_of_its_transaction(results: ScenarioResults) -> None:
    assert len(results.scenario.stored_origins) == results.scenario.smtp.messages
    for origin in results.scenario.stored_origins:
        version, trace_id, span_id, flags = origin.split("-")
        transaction = results.span_by_id(span_id)
        assert (version, trace_id, transaction.name) == ("00", transaction.trace_id, "smtp.transaction")
        assert int(flags, 16) & 1  # sampled


def test_every_retrieved_message_is_linked_to_its_delivery(results: ScenarioResults) -> None:
    transactions = {span.traceparent for span in results.receiver.spans("smtp.transaction")}
    reads = [span for span in results.receiver.spans("pop3.command.retr") if span.attributes["pop3.outcome"] == "ok"]
    assert len(reads) == results.scenario.pop3.messages
    for span in reads:
        assert len(linked(span)) == 1
        assert set(linked(span)) <= transactions


def test_a_submitted_traceparent_is_a_link_and_a_foreign_one_is_ignored(results: ScenarioResults) -> None:
    assert len(linked(results.delivery())) == 2
    links = list(chain.from_iterable(linked(span) for span in results.receiver.spans()))
    assert FOREIGN_TRACEPARENT not in links
