"""Logins: the span with its six attributes, the two counters, and user names as `Otel__UserNames` prescribes."""

import contextlib
from typing import get_args

import pytest

from relate_telemetry.names import SourceName
from relate_telemetry.redaction import UserNames
from tests.support.telemetry.endpoints import ENDPOINTS
from tests.support.telemetry.receiver import recording_telemetry

SOURCES: tuple[SourceName, ...] = ("smtp", "pop3", "imap", "api")


@pytest.mark.parametrize("source", SOURCES)
def test_a_successful_login_has_attributes_and_counts_as_attempt(source: SourceName) -> None:
    telemetry, seen = recording_telemetry()
    with telemetry.auth(source).validate("alice@example.test") as attempt:
        attempt.finish(success=True, cache_hit=True, key_name="laptop")
    span = seen.span(f"{source}.auth.validate")
    assert (span.status, span.scope) == ("UNSET", f"Relate.{source.capitalize()}")
    assert span.attributes == {
        f"{source}.auth.user": "alice@example.test",
        f"{source}.auth.success": True,
        f"{source}.auth.cache_hit": True,
        f"{source}.auth.rate_limited": False,
        f"{source}.auth.key_name": "laptop",
    }
    assert (seen.total(f"{source}.auth.attempts"), seen.total(f"{source}.auth.failures")) == (1, 0)


@pytest.mark.parametrize("reason", ["user_not_found", "invalid_key", "missing_scope"])
def test_a_refused_login_has_a_reason_and_is_no_error(reason: str) -> None:
    telemetry, seen = recording_telemetry()
    with telemetry.auth("imap").validate("alice@example.test") as attempt:
        attempt.finish(success=False, failure_reason=reason)
    span = seen.span("imap.auth.validate")
    assert (span.status, span.attributes["imap.auth.failure_reason"]) == ("UNSET", reason)
    assert (seen.total("imap.auth.attempts"), seen.total("imap.auth.failures")) == (1, 1)


def test_a_rate_limited_login_has_an_attribute() -> None:
    telemetry, seen = recording_telemetry()
    with telemetry.auth("smtp").validate("alice@example.test") as attempt:
        attempt.finish(success=False, rate_limited=True)
    attributes = seen.span("smtp.auth.validate").attributes
    assert attributes["smtp.auth.rate_limited"] is True
    assert "smtp.auth.failure_reason" not in attributes


def test_an_exception_is_an_error_and_counts_as_failure() -> None:
    telemetry, seen = recording_telemetry()
    with contextlib.suppress(RuntimeError), telemetry.auth("pop3").validate("alice@example.test"):
        raise RuntimeError("the database is down")
    span = seen.span("pop3.auth.validate")
    assert (span.status, span.attributes["pop3.auth.success"]) == ("ERROR", False)
    assert span.attributes["exception.message"] == "the database is down"
    assert (seen.total("pop3.auth.attempts"), seen.total("pop3.auth.failures")) == (1, 1)


def test_an_exception_after_the_verdict_counts_once() -> None:
    telemetry, seen = recording_telemetry()
    with contextlib.suppress(RuntimeError), telemetry.auth("pop3").validate("alice@example.test") as attempt:
        attempt.finish(success=True)
        raise RuntimeError
    assert (seen.total("pop3.auth.attempts"), seen.total("pop3.auth.failures")) == (1, 0)


def test_a_login_is_a_child_of_its_command() -> None:
    telemetry, seen = recording_telemetry()
    session = telemetry.protocol("imap").session("s1", *ENDPOINTS)
    with session.command("LOGIN", "not authenticated"):
        with telemetry.auth("imap").validate("alice@example.test") as attempt:
            attempt.finish(success=True)
    assert seen.span("imap.auth.validate").parent_id == seen.span("imap.command.login").span_id


def test_a_refused_key_has_no_user() -> None:
    telemetry, seen = recording_telemetry()
    with telemetry.auth("api").validate(None) as attempt:
        attempt.finish(success=False)
    assert "api.auth.user" not in seen.span("api.auth.validate").attributes


@pytest.mark.parametrize(
    ("mode", "emitted"),
    [("clear", "alice@example.test"), ("hash", "69b1145a03334875"), ("drop", None)],
)
def test_an_accepted_key_has_its_owner_as_user(mode: UserNames, emitted: str | None) -> None:
    telemetry, seen = recording_telemetry(mode)
    with telemetry.auth("api").validate(None) as attempt:
        attempt.finish(success=True, owner="alice@example.test")
    assert seen.span("api.auth.validate").attributes.get("api.auth.user") == emitted


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("mode", get_args(UserNames))
@pytest.mark.parametrize("name", ["rm_a-key-in-the-wrong-field", "alice", ""])
def test_a_name_that_is_no_address_is_not_shown(source: SourceName, mode: UserNames, name: str) -> None:
    telemetry, seen = recording_telemetry(mode)
    with telemetry.auth(source).validate(name) as attempt:
        attempt.finish(success=False)
    assert seen.span(f"{source}.auth.validate").attributes[f"{source}.auth.user"] == "(not an address)"
    assert not name or name not in seen.everything()


@pytest.mark.parametrize(
    ("mode", "emitted"),
    [("clear", "Alice@Example.test"), ("hash", "69b1145a03334875"), ("drop", None)],
)
def test_user_names_are_emitted_as_configured(mode: UserNames, emitted: str | None) -> None:
    telemetry, seen = recording_telemetry(mode)
    with telemetry.auth("smtp").validate("Alice@Example.test") as attempt:
        attempt.finish(success=True)
    assert seen.span("smtp.auth.validate").attributes.get("smtp.auth.user") == emitted
    assert ("Alice" in seen.everything()) == (mode == "clear")
