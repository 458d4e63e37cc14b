"""What may be said about people, requests and errors: user names by choice, no keys, no values of queries or errors.

People search for words of their mail, so of a URL's parameters only the names are told. Database errors quote the
values that they met, and mail is made of values: of those only the classes and the SQLSTATE are told. What comes from
outside is cut. `Redaction` holds every span to all of this, whoever made it.
"""

import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any, Literal
from urllib.parse import parse_qsl

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event, Span, SpanProcessor
from opentelemetry.semconv.attributes.db_attributes import DB_QUERY_TEXT
from opentelemetry.semconv.attributes.exception_attributes import (
    EXCEPTION_MESSAGE,
    EXCEPTION_STACKTRACE,
    EXCEPTION_TYPE,
)
from opentelemetry.trace import Span as AnySpan
from opentelemetry.trace import Status, StatusCode
from opentelemetry.util.types import AttributeValue

UserNames = Literal["clear", "hash", "drop"]

MESSAGE_LIMIT = 256  # characters of an exception's message: enough to recognise it, too few to carry a message body
USER_NAME_LIMIT = 256  # characters: the longest address that SMTP can carry (RFC 5321 §4.5.3.1.3)
HASH_LENGTH = 16  # hexadecimal characters, 64 bits: no two users of one system are likely to share it

VALUE_LIMIT = 1024  # characters of an attribute's value, of a span's name: paths and user agents have no end
VALUES_LIMIT = 32  # elements of an attribute that is a sequence
LONG_TEXTS = 256  # characters of all values of a span: below, they are not looked at one by one
UNKNOWN = 2**62  # characters of a span that does not count them
TRACE_LIMIT = 8192  # characters of a traceback: its innermost frames

# The text of a statement is ours, has no values in it, and is one string for all its spans: it stays whole.
STATEMENTS = frozenset({DB_QUERY_TEXT, "db.statement"})

_WHOLE = STATEMENTS | {EXCEPTION_STACKTRACE}  # the latter has a limit of its own
_SHORT = frozenset({bool, int, float, type(None)})
_DATABASES = frozenset({"sqlalchemy", "asyncpg", "sqlite3", "aiosqlite"})
# How SQLAlchemy introduces a driver's message: all behind it may be values.
_DRIVER = re.compile(
    r"\((?:sqlalchemy|asyncpg|sqlite3|aiosqlite)\.[\w.]+\)(?: <class '[\w.]+'>)?|<class '(?:asyncpg|sqlite3)\.[\w.]+'>"
)
# An API key, or a piece of one.
_KEY = re.compile(r"rm_[A-Za-z0-9_-]{4,}", re.IGNORECASE)
_HIDDEN = "…"
# Attributes of a request: of the present semantic conventions, and of those before.
_METHODS = ("http.request.method", "http.method")
_QUERY = "url.query"
_TARGETS = frozenset({"url.full", "http.target", "http.url"})
_FRAME = re.compile(r'^ *File ".*", line \d+, in .*$', re.MULTILINE)


def user_names(mode: UserNames) -> Callable[[str | None], str | None]:
    """What becomes of a user's name before it is emitted; None is left out.

    `hash` is plain SHA-256: every service, replica and restart agrees on it without a key to distribute, and whoever
    knows an address can find its traces. So it hides names from readers, not from someone who guesses: `drop` does.
    """
    return {"clear": _clear, "hash": _hash, "drop": _drop}[mode]


def _clear(name: str | None) -> str | None:
    return name[:USER_NAME_LIMIT] if name else None


def _hash(name: str | None) -> str | None:
    # Addresses are compared without case, so one user has one hash.
    return sha256(name.casefold().encode(errors="replace")).hexdigest()[:HASH_LENGTH] if name else None


def _drop(name: str | None) -> None:
    return None


def hide_keys(text: str) -> str:
    """A text without API keys: of each the prefix is left."""
    return _KEY.sub(f"rm_{_HIDDEN}", text)


def exception_type(error: BaseException) -> str:
    """The class, with its module unless it is a builtin: OpenTelemetry's `exception.type`."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def safe_message(error: BaseException) -> str:
    """An exception's message as it may be emitted: its first line, shortened; of a database's no word of its own."""
    return _database_message(error) if _is_database(exception_type(error)) else safe_text(str(error))


def safe_text(text: str) -> str:
    """The first line of an error's text, cut where a database driver's words begin, and to MESSAGE_LIMIT."""
    line = text.strip().partition("\n")[0]
    driver = _DRIVER.search(line)
    return hide_keys(line[: driver.end()] if driver else line)[:MESSAGE_LIMIT]


def safe_traceback(error: BaseException) -> str:
    """A traceback of an exception and of those behind it, with safe messages."""
    return "\ncaused:\n".join(
        "".join(traceback.format_tb(each.__traceback__)) + f"{exception_type(each)}: {safe_message(each)}"
        for each in reversed(list(_chain(error)))
    )


def record_fault(span: AnySpan, error: BaseException) -> None:
    """Mark a span as failed by our own trouble: status Error, exception.type and exception.message."""
    kind, message = exception_type(error), safe_message(error)
    span.set_attributes({EXCEPTION_TYPE: kind, EXCEPTION_MESSAGE: message})
    span.set_status(Status(StatusCode.ERROR, kind))


def _is_database(kind: str) -> bool:
    return kind.partition(".")[0] in _DATABASES


def _database_message(error: BaseException) -> str:
    chain = list(_chain(error))
    classes = dict.fromkeys(type(each).__name__ for each in chain)
    states = dict.fromkeys(filter(None, map(_state, chain)))
    return ", ".join((*classes, *states))[:MESSAGE_LIMIT]


def _state(error: BaseException) -> str | None:
    sqlstate = getattr(error, "sqlstate", None)
    return f"SQLSTATE {sqlstate}" if sqlstate else getattr(error, "sqlite_errorname", None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


class Redaction(SpanProcessor):
    """Holds spans of every maker to what may be said about requests and errors, and to a size, just before they end.

    Exporters see a span only afterwards, so this works in front of any of them. OpenTelemetry's OnEnding hook may still
    change a span, but the SDK closes its setters first: hence the private names, which tests watch. The SDK's own limit
    of a value's length would cut statements too, and would cost lean spans their leanness.
    """

    def __init__(self, value_limit: int = VALUE_LIMIT) -> None:
        self._limit = value_limit

    def _on_ending(self, span: Span) -> None:
        attributes: Any = span._attributes
        if _METHODS[0] in attributes or _METHODS[1] in attributes:
            _redact_request(_dict_of(attributes))
        if getattr(span, "characters", UNKNOWN) > self._limit:
            _cut(_dict_of(attributes), self._limit)
        if len(span._name) > self._limit:
            span._name = span._name[: self._limit]
        if span._status.status_code is not StatusCode.ERROR and not len(span._events):
            return
        failed = [event for event in span._events if event.name == "exception"]
        for event in failed:
            event._attributes = _redact_exception(dict(event.attributes or {}))
        for event in span._events:
            _cut(_dict_of(event._attributes), self._limit)
            event._name = event._name[: self._limit]
        if span._status.status_code is StatusCode.ERROR and span._status.description:
            span._status = Status(StatusCode.ERROR, _redact_description(span, failed))


def _redact_request(attributes: dict[str, AttributeValue]) -> None:
    for key, value in attributes.items():
        if isinstance(value, str):
            attributes[key] = _redact_text(key, value)
        elif isinstance(value, Sequence):  # a field of the request, captured by choice
            attributes[key] = tuple(hide_keys(item) if isinstance(item, str) else item for item in value)


def _redact_text(key: str, value: str) -> str:
    if key == _QUERY:
        value = _parameter_names(value)
    elif key in _TARGETS:
        path, mark, query = value.partition("?")
        value = path + mark + _parameter_names(query)
    return hide_keys(value)


def _parameter_names(query: str) -> str:
    return "&".join(f"{name}={_HIDDEN}" for name, _ in parse_qsl(query, keep_blank_values=True))


def _redact_exception(attributes: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
    database = _is_database(str(attributes.get(EXCEPTION_TYPE, "")))
    message = "" if database else safe_text(str(attributes.get(EXCEPTION_MESSAGE, "")))
    frames = "\n".join(_FRAME.findall(str(attributes.get(EXCEPTION_STACKTRACE, ""))))
    return attributes | {EXCEPTION_MESSAGE: message, EXCEPTION_STACKTRACE: frames[-TRACE_LIMIT:]}


def _redact_description(span: Span, failed: list[Event]) -> str | None:
    description = span._status.description or ""
    kinds = [str((event.attributes or {}).get(EXCEPTION_TYPE, "")) for event in failed]
    if any(map(_is_database, kinds)):
        return kinds[-1]
    scope = span.instrumentation_scope.name if span.instrumentation_scope else ""
    if _DATABASES.isdisjoint(scope.split(".")):
        return safe_text(description)
    driver = _DRIVER.match(description)
    return driver.group() if driver else None


def _dict_of(attributes: Any) -> dict[str, Any]:
    """What may be changed of attributes that the SDK has closed."""
    if type(attributes) is dict:  # a lean span's
        return attributes
    return attributes._dict if isinstance(attributes, BoundedAttributes) else {}


def _cut(attributes: dict[str, Any], limit: int) -> None:
    for key, value in attributes.items():
        if type(value) is str:
            if len(value) > limit and key not in _WHOLE:
                attributes[key] = value[:limit]
        elif type(value) not in _SHORT:
            attributes[key] = _shorten(value, limit)


def _shorten(value: object, limit: int) -> object:
    """A value of any kind that the SDK lets through, cut."""
    if isinstance(value, (str, bytes)):
        return value[:limit] if len(value) > limit else value
    if isinstance(value, Sequence):
        return tuple(_shorten(each, limit) for each in value[:VALUES_LIMIT])
    if isinstance(value, Mapping):
        return {key: _shorten(each, limit) for key, each in islice(value.items(), VALUES_LIMIT)}
    return value
