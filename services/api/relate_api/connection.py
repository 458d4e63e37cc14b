"""A connection of the API: uvicorn's, with limits on time and on what is read, and refusals as problem+json.

uvicorn itself has no timeout for a request that is not sent to its end, nor for an answer that is not read.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from relate_api.errors import refusal
from relate_api.framing import RequestReader

# Enough for a body of 64 KB at 30 kbit/s.
REQUEST_SECONDS = 20.0
# Without a single octet of a long answer being taken: as patient as the mail servers.
ANSWER_SECONDS = 300.0

_RECEIVING = (h11.IDLE, h11.SEND_BODY)
_UNANSWERED = (h11.IDLE, h11.SEND_RESPONSE)


class Connection(H11Protocol):
    """As uvicorn's, within limits. `lost` is called when it is gone."""

    _request: asyncio.TimerHandle | None = None
    _answer: asyncio.TimerHandle | None = None
    conn: RequestReader

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], lost: Callable[[], None]
    ) -> None:
        super().__init__(config, server_state, app_state)
        self.conn = RequestReader()
        self._lost = lost

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there: its first request is awaited."""
        super().connection_made(transport)
        self._mind_request()

    def data_received(self, data: bytes) -> None:
        """Octets came in."""
        super().data_received(data)
        self._mind_request()

    def send_400_response(self, msg: str) -> None:
        """Refuse what could not be read, and close."""
        if self.conn.our_state in _UNANSWERED:
            response, body = refusal(HTTPStatus(self.conn.refusal))
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None:
            self.cycle.disconnected = True  # the app's own response, if one follows, is discarded
        self.transport.close()

    def on_response_complete(self) -> None:
        """The next request is awaited."""
        super().on_response_complete()
        self._mind_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        super().connection_lost(exc)
        self._forget_request()
        self._forget_answer()
        self._lost()

    def pause_writing(self) -> None:
        """The client does not keep up."""
        super().pause_writing()
        if self._answer is None:
            self._answer = self.loop.call_later(ANSWER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()
        self._forget_answer()

    def _mind_request(self) -> None:
        if self.conn.their_state not in _RECEIVING or self.transport.is_closing():
            self._forget_request()
        elif self._request is None:
            self._request = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def _forget_request(self) -> None:
        if self._request is not None:
            self._request.cancel()
            self._request = None

    def _forget_answer(self) -> None:
        if self._answer is not None:
            self._answer.cancel()
            self._answer = None
