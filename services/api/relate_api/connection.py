"""A connection of the API, with the two limits that uvicorn does not know: for a request that does not come to its
end, and for an answer that is not read. Without them a client that says nothing is kept for ever.
"""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

# A request is at most 64 KB and a few fields: who needs longer to send it is not there.
REQUEST_SECONDS = 20.0
# Without a single octet of a long answer being taken: as patient as the mail servers.
ANSWER_SECONDS = 300.0

_RECEIVING = (h11.IDLE, h11.SEND_BODY)


class Connection(H11Protocol):
    """As uvicorn's, and it ends."""

    _request: asyncio.TimerHandle | None = None
    _answer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there: its first request is awaited."""
        super().connection_made(transport)
        self._mind_request()

    def data_received(self, data: bytes) -> None:
        """Octets came in."""
        super().data_received(data)
        self._mind_request()

    def on_response_complete(self) -> None:
        """The next request is awaited."""
        super().on_response_complete()
        self._mind_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        super().connection_lost(exc)
        self._forget_request()
        self._forget_answer()

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
