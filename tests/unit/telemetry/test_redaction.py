"""Redaction of errors, user names and keys: enough to recognise an error, and no values."""

import contextlib
import sqlite3

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError, IntegrityError

from relate_telemetry.redaction import (
    MAX_MESSAGE_CHARACTERS,
    MAX_USER_NAME_CHARACTERS,
    exception_type,
    hide_keys,
    safe_message,
    safe_text,
    safe_traceback,
    user_names,
)
from tests.support.examples import examples
from tests.support.telemetry.receiver import recording_telemetry

SECRET = "hunter2"


def database_error() -> IntegrityError:
    """SQLAlchemy's error for a unique violation in PostgreSQL, with the values."""
    driver = asyncpg.UniqueViolationError(f'duplicate key value "{SECRET}"')
    driver.detail = f"Key (address)=({SECRET}) already exists."
    adapted = Exception(f"<class 'asyncpg.exceptions.UniqueViolationError'>: {SECRET}")
    try:
        try:
            raise driver
        except asyncpg.UniqueViolationError as error:
            raise adapted from error
    except Exception as error:  # noqa: BLE001 - SQLAlchemy wraps any exception
        wrapped = IntegrityError(f"INSERT INTO users VALUES ('{SECRET}')", {"address": SECRET}, error)
        wrapped.__cause__ = error
        return wrapped


def test_a_message_is_its_first_line_cut() -> None:
    assert safe_message(ValueError("first\nsecond")) == "first"
    assert len(safe_message(ValueError("x" * 1000))) == MAX_MESSAGE_CHARACTERS
    assert safe_message(ValueError()) == ""


def test_a_database_error_is_its_classes_and_sqlstate() -> None:
    error = database_error()
    assert SECRET in str(error)
    assert safe_message(error) == "IntegrityError, Exception, UniqueViolationError, SQLSTATE 23505"


def test_a_sqlite_error_is_its_class_and_name() -> None:
    with sqlite3.connect(":memory:") as connection, pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute(f"select '{SECRET}")
    connection.close()
    assert safe_message(caught.value) == "OperationalError, SQLITE_ERROR"


def test_a_text_is_cut_before_a_drivers_message() -> None:
    text = f"IntegrityError: (sqlite3.IntegrityError) near '{SECRET}'\n[parameters: ('{SECRET}',)]"
    assert safe_text(text) == "IntegrityError: (sqlite3.IntegrityError)"
    assert safe_text(f"<class 'asyncpg.exceptions.DataError'>: {SECRET}") == "<class 'asyncpg.exceptions.DataError'>"


@settings(max_examples=examples(50))
@given(st.text(max_size=2000))
def test_any_text_becomes_one_short_line(text: str) -> None:
    safe = safe_text(text)
    assert len(safe) <= MAX_MESSAGE_CHARACTERS
    assert "\n" not in safe


def test_a_traceback_has_frames_and_redacted_messages_of_all_causes() -> None:
    def store() -> None:
        try:
            raise database_error()
        except DBAPIError as error:
            raise RuntimeError("could not store") from error

    with pytest.raises(RuntimeError) as caught:
        store()
    emitted = safe_traceback(caught.value)
    assert SECRET not in emitted
    assert emitted.index("IntegrityError") < emitted.index("RuntimeError: could not store")
    assert "test_redaction.py" in emitted


def test_a_cyclic_chain_of_exceptions_ends() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__context__, second.__context__ = second, first
    assert safe_traceback(first).count("ValueError") == 2


def test_exception_types_are_qualified_except_builtins() -> None:
    assert exception_type(ValueError()) == "ValueError"
    assert exception_type(sqlite3.IntegrityError()) == "sqlite3.IntegrityError"


def test_user_names_are_cut_and_hashes_ignore_case() -> None:
    assert user_names("clear")("x" * 1000) == "x" * MAX_USER_NAME_CHARACTERS
    assert user_names("hash")("Bob@EXAMPLE.test") == user_names("hash")("bob@example.TEST")
    assert user_names("hash")("\ud800") is not None
    assert [user_names("clear")(name) for name in ("", None)] == [None, None]


def test_spans_of_other_libraries_are_redacted() -> None:
    telemetry, seen = recording_telemetry()
    tracer = telemetry.tracer_provider.get_tracer("another")
    with contextlib.suppress(IntegrityError), tracer.start_as_current_span("outer"):
        raise database_error()
    with contextlib.suppress(ValueError), tracer.start_as_current_span("plain"):
        raise ValueError(f"first\n{SECRET}")
    assert SECRET not in seen.everything()
    outer, plain = seen.span("outer"), seen.span("plain")
    assert (outer.status, outer.description) == ("ERROR", "sqlalchemy.exc.IntegrityError")
    assert (plain.status, plain.description) == ("ERROR", "ValueError: first")
    (event,) = plain.events
    assert event.attributes["exception.message"] == "first"
    assert "test_redaction.py" in event.attributes["exception.stacktrace"]


@pytest.mark.parametrize("scope", ["opentelemetry.instrumentation.asyncpg", "opentelemetry.instrumentation.sqlalchemy"])
def test_database_instrumentations_emit_no_values(scope: str) -> None:
    telemetry, seen = recording_telemetry()
    tracer = telemetry.tracer_provider.get_tracer(scope)
    with contextlib.suppress(ValueError), tracer.start_as_current_span("INSERT", record_exception=False):
        raise ValueError(SECRET)
    assert SECRET not in seen.everything()
    assert seen.span("INSERT").status == "ERROR"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("/api/keys/rm_ZOZOtZTnvx6OfiBA-p39DIcCUL-g5qFRi5kKpoWC0BE/x", "/api/keys/rm_…/x"),
        ("RM_ABCDEFGH", "rm_…"),
        ("a rm_1234 and a rm_5678-_", "a rm_… and a rm_…"),
        ("Bearer:rm_" + "x" * 5000, "Bearer:rm_…"),
        ("rm_", "rm_"),
        ("rm_1", "rm_1"),
        ("/healthz/live", "/healthz/live"),
    ],
)
def test_a_key_is_cut_to_its_prefix(text: str, redacted: str) -> None:
    assert hide_keys(text) == redacted
    assert safe_text(text) == redacted
