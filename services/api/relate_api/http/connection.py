"""uvicorn's HTTP/1.1 connection with timeouts, limits on request size, and problem+json for protocol errors.

uvicorn has no timeout for a partly received request, nor for a response that the client does not read.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from relate_api.http.errors import closing_problem
from relate_api.http.framing import RequestReader

# Enough for a body of 64 KB at 30 kbit/s.
REQUEST_TIMEOUT_SECONDS = 20.0
# For a message, once its sender is known: 50 MB at 1 Mbit/s, and then some.
UPLOAD_TIMEOUT_SECONDS = 600.0
UPLOAD = "begin_upload"
"""The name in the request's state of the function that lifts the limits of a small request."""
# Without progress on a response; the mail protocols have the same timeout.
WRITE_TIMEOUT_SECONDS = 300.0

TIMED_OUT = "has_timed_out"
"""The name in the request's state of the function that says whether a client was cut off because it did not read."""

_RECEIVING_STATES = (h11.IDLE, h11.SEND_BODY)
_UNANSWERED_STATES = (h11.IDLE, h11.SEND_RESPONSE)


class LimitedConnection(H11Protocol):
    """uvicorn's connection within limits; calls `on_lost` when it has ended."""

    _request_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _has_timed_out = False
    conn: RequestReader

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], on_lost: Callable[[], None]
    ) -> None:
        super().__init__(config, server_state, {**app_state, UPLOAD: self.begin_upload, TIMED_OUT: self.has_timed_out})
        self.conn = RequestReader()
        self._on_lost = on_lost

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer of the first request."""
        super().connection_made(transport)
        self._update_request_timer()

    def data_received(self, data: bytes) -> None:
        """Update the request timer after uvicorn has processed the data."""
        super().data_received(data)
        self._update_request_timer()

    def begin_upload(self, octets: int) -> None:
        """Give the request that is being received the time and the chunks that a body of so many octets needs."""
        self.conn.allow_chunks(octets)
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = self.loop.call_later(UPLOAD_TIMEOUT_SECONDS, self.transport.abort)

    def has_timed_out(self) -> bool:
        """Whether the connection ended because the client did not read."""
        return self._has_timed_out

    def send_400_response(self, msg: str) -> None:
        """Answer a malformed request with problem+json, and close."""
        if self.conn.our_state in _UNANSWERED_STATES:
            response, body = closing_problem(HTTPStatus(self.conn.error_status))
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None:
            self.cycle.disconnected = True  # discards a later response of the app
        self.transport.close()

    def on_response_complete(self) -> None:
        """Start the timer of the next request."""
        super().on_response_complete()
        self._update_request_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timers and call `on_lost`."""
        super().connection_lost(exc)
        self._cancel_request_timer()
        self._cancel_write_timer()
        self._on_lost()

    def pause_writing(self) -> None:
        """Start the write timer, because the client does not read fast enough."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(WRITE_TIMEOUT_SECONDS, self._time_out)

    def resume_writing(self) -> None:
        """Cancel the write timer."""
        super().resume_writing()
        self._cancel_write_timer()

    def _update_request_timer(self) -> None:
        if self.conn.their_state not in _RECEIVING_STATES or self.transport.is_closing():
            self._cancel_request_timer()
        elif self._request_timer is None:
            self._request_timer = self.loop.call_later(REQUEST_TIMEOUT_SECONDS, self.transport.abort)

    def _cancel_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _time_out(self) -> None:
        self._has_timed_out = True
        self.transport.abort()

    def _cancel_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
