"""Redacts spans and logs: user names as chosen, no API keys, no values of query parameters or of database errors.

Users search for words of their mail, so only the names of a URL's parameters are emitted. Database errors quote values,
which are mail here, so only their classes and SQLSTATE are emitted. Texts from clients are cut. `Redaction` applies all
of this to every span, also of other libraries.
"""

import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any, Literal
from urllib.parse import parse_qsl

from opentelemetry.sdk.trace import Event, Span
from opentelemetry.semconv.attributes.db_attributes import DB_QUERY_TEXT
from opentelemetry.semconv.attributes.exception_attributes import (
    EXCEPTION_MESSAGE,
    EXCEPTION_STACKTRACE,
    EXCEPTION_TYPE,
)
from opentelemetry.trace import Span as AnySpan
from opentelemetry.trace import Status, StatusCode
from opentelemetry.util.types import AttributeValue

from relate_telemetry.sdk_internals import (
    OnEndingProcessor,
    ending_fields,
    mutable_attributes,
    set_event_attributes,
    set_event_name,
    set_name,
    set_status,
)

UserNames = Literal["clear", "hash", "drop"]

MAX_MESSAGE_CHARACTERS = 256  # of an exception: enough to recognise it, too few for the body of a mail
MAX_USER_NAME_CHARACTERS = 256  # the longest address that SMTP can carry (RFC 5321 §4.5.3.1.3)
HASH_CHARACTERS = 16  # hexadecimal, 64 bits: no two users of one system are likely to share a hash

MAX_VALUE_CHARACTERS = 1024  # of an attribute or a span's name: clients choose the length of paths and user agents
MAX_SEQUENCE_ITEMS = 32  # of an attribute
MAX_TRACEBACK_CHARACTERS = 8192  # the innermost frames

# The text of a statement is our own, contains no values and is one string for all its spans, so it is not cut.
STATEMENT_KEYS = frozenset({DB_QUERY_TEXT, "db.statement"})

_UNCUT_KEYS = STATEMENT_KEYS | {EXCEPTION_STACKTRACE}  # a traceback is cut to MAX_TRACEBACK_CHARACTERS
_SHORT_TYPES = frozenset({bool, int, float, type(None)})
_DATABASES = frozenset({"sqlalchemy", "asyncpg", "sqlite3", "aiosqlite"})
# How SQLAlchemy introduces a driver's message; the rest of the text may be values.
_DRIVER = re.compile(
    r"\((?:sqlalchemy|asyncpg|sqlite3|aiosqlite)\.[\w.]+\)(?: <class '[\w.]+'>)?|<class '(?:asyncpg|sqlite3)\.[\w.]+'>"
)
# An API key, or a part of one.
_KEY = re.compile(r"rm_[A-Za-z0-9_-]{4,}", re.IGNORECASE)
_ELLIPSIS = "…"
# Attributes of a request, of the present and of the former semantic conventions.
_QUERY = "url.query"
_TARGETS = frozenset({"url.full", "http.target", "http.url"})
_FRAME = re.compile(r'^ *File ".*", line \d+, in .*$', re.MULTILINE)


def user_names(mode: UserNames) -> Callable[[str | None], str | None]:
    """Return the function that prepares a user's name for emission; None means to emit no name.

    `hash` is plain SHA-256, so that all services and replicas agree without a shared secret, and an operator who knows
    an address can find its traces. It does not protect against guessing; `drop` does.
    """
    return {"clear": _clear, "hash": _hash, "drop": _drop}[mode]


def _clear(name: str | None) -> str | None:
    return name[:MAX_USER_NAME_CHARACTERS] if name else None


def _hash(name: str | None) -> str | None:
    # Case-folded as addresses are compared, so that a user has one hash.
    return sha256(name.casefold().encode(errors="replace")).hexdigest()[:HASH_CHARACTERS] if name else None


def _drop(name: str | None) -> None:
    return None


def hide_keys(text: str) -> str:
    """Replace each API key in a text by its prefix and an ellipsis."""
    return _KEY.sub(f"rm_{_ELLIPSIS}", text)


def exception_type(error: BaseException) -> str:
    """The class of an exception, with its module unless it is a builtin: OpenTelemetry's `exception.type`."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def safe_message(error: BaseException) -> str:
    """The first line of an exception's message, redacted and cut; classes and SQLSTATE for a database error."""
    return _database_message(error) if _is_database(exception_type(error)) else safe_text(str(error))


def safe_text(text: str) -> str:
    """The first line of an error's text, cut before a database driver's message and to MAX_MESSAGE_CHARACTERS."""
    line = text.strip().partition("\n")[0]
    driver = _DRIVER.search(line)
    return hide_keys(line[: driver.end()] if driver else line)[:MAX_MESSAGE_CHARACTERS]


def safe_traceback(error: BaseException) -> str:
    """The traceback of an exception and its causes, with redacted messages."""
    return "\ncaused:\n".join(
        "".join(traceback.format_tb(each.__traceback__)) + f"{exception_type(each)}: {safe_message(each)}"
        for each in reversed(list(_chain(error)))
    )


def record_fault(span: AnySpan, error: BaseException) -> None:
    """Mark a span as failed by an error of ours: status Error, exception.type and exception.message."""
    kind, message = exception_type(error), safe_message(error)
    span.set_attributes({EXCEPTION_TYPE: kind, EXCEPTION_MESSAGE: message})
    span.set_status(Status(StatusCode.ERROR, kind))


def _is_database(kind: str) -> bool:
    return kind.partition(".")[0] in _DATABASES


def _database_message(error: BaseException) -> str:
    chain = list(_chain(error))
    classes = dict.fromkeys(type(each).__name__ for each in chain)
    states = dict.fromkeys(filter(None, map(_state, chain)))
    return ", ".join((*classes, *states))[:MAX_MESSAGE_CHARACTERS]


def database_state(error: BaseException) -> str | None:
    """The SQLSTATE of PostgreSQL, or the name of SQLite's error code, of a database error or of its causes."""
    states = (getattr(each, "sqlstate", None) or getattr(each, "sqlite_errorname", None) for each in _chain(error))
    return next(filter(None, states), None)


def _state(error: BaseException) -> str | None:
    sqlstate = getattr(error, "sqlstate", None)
    return f"SQLSTATE {sqlstate}" if sqlstate else getattr(error, "sqlite_errorname", None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


class Redaction(OnEndingProcessor):
    """Redacts and cuts every span of the SDK just before it ends, so in front of any exporter.

    The SDK closes a span's setters before it calls OnEnding, so this changes private fields. `max_characters` is the
    limit of values that the OTEL_* variables set, which the SDK has applied; it replaces ours, also where it is larger.
    """

    def __init__(self, max_characters: int | None = None) -> None:
        self._max_characters = MAX_VALUE_CHARACTERS if max_characters is None else max_characters
        self._max_uncut_characters = max_characters

    def on_ending(self, span: Span) -> None:
        """Redact and cut a span."""
        attributes, name, status, events = ending_fields(span)
        self._redact_values(mutable_attributes(attributes))
        if len(name) > MAX_VALUE_CHARACTERS:
            set_name(span, name[:MAX_VALUE_CHARACTERS])
        if status.status_code is StatusCode.ERROR or len(events):
            self._redact_error(span, status, events)

    def redact_value(self, key: str, value: object) -> object:
        """Return the value of an attribute, redacted and cut."""
        if isinstance(value, str):
            return _redact_text(key, value)[
                : self._max_uncut_characters if key in _UNCUT_KEYS else self._max_characters
            ]
        return value if type(value) in _SHORT_TYPES else _shorten(value, self._max_characters)

    def _redact_values(self, attributes: dict[str, Any]) -> None:
        for key, value in attributes.items():
            if type(value) not in _SHORT_TYPES:
                attributes[key] = self.redact_value(key, value)

    def _redact_error(self, span: Span, status: Status, events: Sequence[Event]) -> None:
        exceptions = [event for event in events if event.name == "exception"]
        for event in exceptions:
            set_event_attributes(event, _redact_exception(dict(event.attributes or {})))
        for event in events:
            self._redact_values(mutable_attributes(event.attributes))
            set_event_name(event, event.name[:MAX_VALUE_CHARACTERS])
        if status.status_code is StatusCode.ERROR and status.description:
            set_status(span, Status(StatusCode.ERROR, _redact_description(span, status.description, exceptions)))


def _redact_text(key: str, value: str) -> str:
    if key in STATEMENT_KEYS:
        return value
    if key == _QUERY:
        value = _parameter_names(value)
    elif key in _TARGETS:
        path, mark, query = value.partition("?")
        value = path + mark + _parameter_names(query)
    return hide_keys(value)


def _parameter_names(query: str) -> str:
    return "&".join(f"{name}={_ELLIPSIS}" for name, _ in parse_qsl(query, keep_blank_values=True))


def _redact_exception(attributes: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
    database = _is_database(str(attributes.get(EXCEPTION_TYPE, "")))
    message = "" if database else safe_text(str(attributes.get(EXCEPTION_MESSAGE, "")))
    frames = "\n".join(_FRAME.findall(str(attributes.get(EXCEPTION_STACKTRACE, ""))))
    return attributes | {EXCEPTION_MESSAGE: message, EXCEPTION_STACKTRACE: frames[-MAX_TRACEBACK_CHARACTERS:]}


def _redact_description(span: Span, description: str, exceptions: Sequence[Event]) -> str | None:
    kinds = [str((event.attributes or {}).get(EXCEPTION_TYPE, "")) for event in exceptions]
    if any(map(_is_database, kinds)):
        return kinds[-1]
    scope = span.instrumentation_scope.name if span.instrumentation_scope else ""
    if _DATABASES.isdisjoint(scope.split(".")):
        return safe_text(description)
    driver = _DRIVER.match(description)
    return driver.group() if driver else None


def _shorten(value: object, limit: int) -> object:
    """Cut a value of any type that the SDK accepts, and hide keys in it."""
    if isinstance(value, str):
        return hide_keys(value)[:limit]
    if isinstance(value, bytes):
        return value[:limit]
    if isinstance(value, Sequence):
        return tuple(_shorten(each, limit) for each in value[:MAX_SEQUENCE_ITEMS])
    if isinstance(value, Mapping):
        return {key: _shorten(each, limit) for key, each in islice(value.items(), MAX_SEQUENCE_ITEMS)}
    return value
