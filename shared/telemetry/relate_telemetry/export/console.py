"""Prints spans to the console: one line per command for people, or one line per span with all its attributes.

Attributes are redacted before they get here, and a line contains no character that controls a terminal.
"""

import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from time import localtime, strftime
from typing import TextIO, get_args

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter, SpanExportResult
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
)
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id
from opentelemetry.util.types import AttributeValue

from relate_telemetry.names import ProtocolName, SourceName, auth_keys, auth_span, command_keys, session_span
from relate_telemetry.visible import visible

MAX_SESSIONS = 10_000  # whose users are cached; the least recently used entry is evicted

_PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)
_SOURCES: tuple[SourceName, ...] = get_args(SourceName)
_COMMANDS = {keys.command: keys for keys in map(command_keys, _PROTOCOLS)}
_SESSIONS = {session_span(protocol): command_keys(protocol).session_id for protocol in _PROTOCOLS}
_LOGINS = {auth_span(source): auth_keys(source) for source in _SOURCES}
_NO_USER = "-"

Attributes = Mapping[str, AttributeValue]


def console_exporter(*, verbose: bool) -> SpanExporter:
    """The exporter to standard output: every span where `verbose` is true, else commands, requests and errors."""
    return ConsoleSpanExporter(out=sys.stdout, formatter=format_span) if verbose else CommandExporter(sys.stdout)


class CommandExporter(SpanExporter):
    """Writes a line for each command and request, with the user that had logged in, and for each error.

    Spans are exported in the order of their ends, so a login comes before its command.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._logins = _UserCache()  # by the span of the command or request that logged the user in
        self._users = _UserCache()  # by session id

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the lines of these spans."""
        for span in spans:
            if line := self._line(span):
                self._out.write(line + "\n")
        self._out.flush()
        return SpanExportResult.SUCCESS

    def _line(self, span: ReadableSpan) -> str:
        attributes: Attributes = span.attributes or {}
        if span.name in _LOGINS:
            self._record_login(span, attributes)
        if span.name in _SESSIONS:
            self._users.pop(str(attributes.get(_SESSIONS[span.name], "")))
        if HTTP_REQUEST_METHOD in attributes and span.kind is SpanKind.SERVER:
            return self._request(span, attributes)
        for command, keys in _COMMANDS.items():
            if command in attributes:
                session = str(attributes.get(keys.session_id, ""))
                if user := self._logins.pop(span.context.span_id):
                    self._users.put(session, user)
                octets = _format_octets(attributes.get(keys.octets_received), attributes.get(keys.octets_sent))
                outcome = f"{attributes.get(keys.outcome, '')} {attributes.get(keys.reply_code, '')}"
                verb = f"{command.partition('.')[0]} {attributes[command]!s}"
                return _format(span, verb, self._users.get(session), octets, outcome)
        return format_span(span).rstrip("\n") if span.status.status_code is StatusCode.ERROR else ""

    def _request(self, span: ReadableSpan, attributes: Attributes) -> str:
        route, status = str(attributes.get(HTTP_ROUTE, "")), str(attributes.get(HTTP_RESPONSE_STATUS_CODE, ""))
        user = self._logins.pop(span.context.span_id)
        return _format(span, f"api {attributes[HTTP_REQUEST_METHOD]!s}", user, route, status)

    def _record_login(self, span: ReadableSpan, attributes: Attributes) -> None:
        keys = _LOGINS[span.name]
        user = attributes.get(keys.user) or attributes.get(keys.key_name)
        if span.parent is not None and user and attributes.get(keys.success):
            self._logins.put(span.parent.span_id, str(user))


class _UserCache:
    """The names of users by a key; least recently used ones are evicted."""

    def __init__(self) -> None:
        self._users = OrderedDict[object, str]()

    def put(self, key: object, user: str) -> None:
        self._users[key] = user
        if len(self._users) > MAX_SESSIONS:
            self._users.popitem(last=False)

    def get(self, key: object) -> str:
        if key not in self._users:
            return ""
        self._users.move_to_end(key)
        return self._users[key]

    def pop(self, key: object) -> str:
        return self._users.pop(key, "")


def _format(span: ReadableSpan, verb: str, user: str, detail: str, outcome: str) -> str:
    parts = [_format_times(span), f"{verb:<18}", f"{user or _NO_USER:<24}", f"{detail:<24}", outcome.strip()]
    if span.status.status_code is StatusCode.ERROR:
        parts.append(f"ERROR {_join_lines(span.status.description or '')}".rstrip())
    return visible("  ".join(parts))


def _format_octets(received: AttributeValue | None, sent: AttributeValue | None) -> str:
    parts = [f"{count} octets {way}" for count, way in ((received, "in"), (sent, "out")) if count]
    return ", ".join(parts)


def format_span(span: ReadableSpan) -> str:
    """Format a span as one line: time, duration, name, attributes, ids, links, and the status if it is an error."""
    context, parent = span.context, span.parent
    parts = [
        f"{_format_times(span)}  {span.name}",
        *(f"{key}={_join_lines(value)}" for key, value in (span.attributes or {}).items()),
        f"trace={format_trace_id(context.trace_id)} span={format_span_id(context.span_id)}",
    ]
    if parent is not None:
        parts.append(f"parent={format_span_id(parent.span_id)}")
    parts += (f"link={format_trace_id(link.context.trace_id)}" for link in span.links)
    if span.status.status_code is StatusCode.ERROR:
        parts.append(f"ERROR {_join_lines(span.status.description or '')}".rstrip())
    return visible("  ".join(parts)) + "\n"


def _format_times(span: ReadableSpan) -> str:
    start, end = span.start_time or 0, span.end_time or 0
    clock = strftime("%H:%M:%S", localtime(start / 1e9))
    return f"{clock}.{start // 1_000_000 % 1000:03d} {(end - start) / 1e6:9.3f} ms"


def _join_lines(value: object) -> str:
    return " ".join(str(value).split())
