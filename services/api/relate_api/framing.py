"""HTTP/1.1 as h11 reads it, within limits that h11 does not know: fields of a request's head, and chunks of its body.

h11 is fed in slices, because its own limit on size counts only what it could not read yet. So it never holds more than
MAX_HEAD_OCTETS and one slice, in whatever way a request is sent, pipelined or not.
"""

import re
from typing import Final

import h11

# A request's head, its trailer, or one chunk's header. Node.js has the same limit; nginx and Apache have about twice.
MAX_HEAD_OCTETS = 16 * 1024
# Apache's limit. A browser behind two proxies sends some thirty.
MAX_FIELDS = 100
# In one request; a body is at most 64 KB, so these are of 128 octets on average when a body is as long as it may be.
MAX_CHUNKS = 512
# In one URL; what may be asked of a list has ten.
MAX_PARAMETERS = 100
# Octets that h11 looks at in one go: the fields in them are read before they can be counted.
SLICE_OCTETS = 2048

# RFC 9112 §3.2, RFC 3986 §3.2.2. Instrumentation builds a URL from the value, which a slash would make another one.
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]*)?")


class RequestReader(h11.Connection):
    """A server's side of a connection. `refusal` is the status of the answer to what could not be read."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEAD_OCTETS)
        self.refusal = 400
        self._unread = bytearray()
        self._chunks = 0

    def receive_data(self, data: bytes) -> None:
        """Take octets as they came."""
        self._unread += data

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """The next event, as h11 has it. Raises h11.RemoteProtocolError, with `refusal` set, beyond a limit."""
        try:
            event = super().next_event()
            while event is h11.NEED_DATA and self._unread:
                self._check_incomplete()
                super().receive_data(bytes(self._unread[:SLICE_OCTETS]))
                del self._unread[:SLICE_OCTETS]
                event = super().next_event()
            self._check(event)
        except h11.RemoteProtocolError as error:
            self.refusal = error.error_status_hint
            raise
        return event

    def _check_incomplete(self) -> None:
        # The request line and the blank line are no fields.
        if self.trailing_data[0].count(b"\n") > MAX_FIELDS + 2:
            raise _too_many_fields()

    def _check(self, event: object) -> None:
        if isinstance(event, h11.Request):
            self._chunks = 0
            _check_head(event)
        elif isinstance(event, h11.EndOfMessage) and len(event.headers) > MAX_FIELDS:
            raise _too_many_fields()
        elif isinstance(event, h11.Data) and event.chunk_end:
            self._chunks += 1
            if self._chunks > MAX_CHUNKS:
                raise h11.RemoteProtocolError("too many chunks", error_status_hint=413)


def _check_head(request: h11.Request) -> None:
    if len(request.headers) > MAX_FIELDS:
        raise _too_many_fields()
    if request.target.count(b"&") >= MAX_PARAMETERS:
        raise h11.RemoteProtocolError("too many parameters", error_status_hint=414)
    if not all(_HOST.fullmatch(value) for name, value in request.headers if name == b"host"):
        raise h11.RemoteProtocolError("malformed Host")


def _too_many_fields() -> h11.RemoteProtocolError:
    return h11.RemoteProtocolError("too many fields", error_status_hint=431)
