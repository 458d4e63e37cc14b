"""Parses HTTP/1.1 with h11, adding limits that h11 does not have: header fields per head, chunks per body.

h11 is fed in slices, because its own size limit applies only to data that it could not parse yet. So it never buffers
more than MAX_HEAD_OCTETS and one slice, whether a request is pipelined or not.
"""

import re
from typing import Final

import h11

# For a head, a trailer, or a chunk header. Node.js has the same limit; nginx and Apache about twice as much.
MAX_HEAD_OCTETS = 16 * 1024
# As in Apache. A browser behind two proxies sends about 30.
MAX_FIELDS = 100
# Per request. A body has at most 64 KB, so that chunks of 128 octets on average fit; the same of larger bodies.
MAX_CHUNKS = 512
CHUNK_OCTETS = 128
# Per URL; a list has ten.
MAX_PARAMETERS = 100
# Fed to h11 at a time, because it parses the fields of a slice before they can be counted.
SLICE_OCTETS = 2048

# RFC 9112 §3.2, RFC 3986 §3.2.2. A slash would change the URL that instrumentation builds from the value.
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]*)?")
# RFC 9112 §3.2.2, RFC 3986 §3: the authority, then path and query.
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]+)(.*)", re.IGNORECASE | re.DOTALL)


class RequestReader(h11.Connection):
    """The server side of an HTTP/1.1 connection; `error_status` is the response status for a malformed request."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEAD_OCTETS)
        self.error_status = 400
        self._unread = bytearray()
        self._chunks = 0
        self._max_chunks = MAX_CHUNKS

    def allow_chunks(self, octets: int) -> None:
        """Allow the present request the chunks of a body of so many octets."""
        self._max_chunks = max(MAX_CHUNKS, octets // CHUNK_OCTETS)

    def receive_data(self, data: bytes) -> None:
        """Buffer received octets."""
        self._unread += data

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """See `h11.Connection.next_event`; the target of a request is in origin-form.

        Raises h11.RemoteProtocolError, with `error_status` set, for a malformed request or one beyond a limit.
        """
        try:
            event = super().next_event()
            while event is h11.NEED_DATA and self._unread:
                self._check_incomplete()
                super().receive_data(bytes(self._unread[:SLICE_OCTETS]))
                del self._unread[:SLICE_OCTETS]
                event = super().next_event()
            if isinstance(event, h11.Request):
                event = _with_origin_form(event)
            self._check(event)
        except h11.RemoteProtocolError as error:
            self.error_status = error.error_status_hint
            raise
        return event

    def _check_incomplete(self) -> None:
        # Two lines are not fields: the request line and the empty line.
        if self.trailing_data[0].count(b"\n") > MAX_FIELDS + 2:
            raise _too_many_fields()

    def _check(self, event: object) -> None:
        if isinstance(event, h11.Request):
            self._chunks, self._max_chunks = 0, MAX_CHUNKS
            _check_head(event)
        elif isinstance(event, h11.EndOfMessage) and len(event.headers) > MAX_FIELDS:
            raise _too_many_fields()
        elif isinstance(event, h11.Data) and event.chunk_end:
            self._chunks += 1
            if self._chunks > self._max_chunks:
                raise h11.RemoteProtocolError("too many chunks", error_status_hint=413)


def _with_origin_form(request: h11.Request) -> h11.Request:
    """The request with the path and query of a target in absolute-form; Host is that of the target (RFC 9112 §3.2.2).

    The scheme is ignored, because the connection says whether there is TLS.
    """
    absolute = _ABSOLUTE.fullmatch(request.target)
    if absolute is None:
        return request
    host, rest = absolute.groups()
    target = rest if rest.startswith(b"/") else b"/" + rest
    headers = [(b"host", host), *((name, value) for name, value in request.headers if name != b"host")]
    return h11.Request(method=request.method, headers=headers, target=target, http_version=request.http_version)


def _check_head(request: h11.Request) -> None:
    if not request.http_version.startswith(b"1."):
        raise h11.RemoteProtocolError("unsupported version", error_status_hint=505)
    if len(request.headers) > MAX_FIELDS:
        raise _too_many_fields()
    # Another reader may see another end of the body (request smuggling), RFC 9112 §6.1 and §6.3.
    if {b"content-length", b"transfer-encoding"} <= {name for name, _ in request.headers}:
        raise h11.RemoteProtocolError("both Content-Length and Transfer-Encoding")
    if request.target.count(b"&") >= MAX_PARAMETERS:
        raise h11.RemoteProtocolError("too many parameters", error_status_hint=414)
    if not all(_HOST.fullmatch(value) for name, value in request.headers if name == b"host"):
        raise h11.RemoteProtocolError("malformed Host")


def _too_many_fields() -> h11.RemoteProtocolError:
    return h11.RemoteProtocolError("too many fields", error_status_hint=431)
