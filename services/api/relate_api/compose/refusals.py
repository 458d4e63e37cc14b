"""What the event log tells of a request that sends nothing: the route class of the requests that send.

It is a route's, and no dependency's, so that a refusal for the caller's scopes, rate or input is told as well. A caller
without a valid key is no user, and is counted as a wrong login.
"""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, NamedTuple

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from relate_accounts.types import User
from relate_api.access.dependencies import services_of
from relate_api.config import SERVICE
from relate_api.http.errors import RecipientsRefused, response_status
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.types import AccountId


class _Noted(NamedTuple):
    sender: str
    recipients: Sequence[str]


class SendingRoute(APIRoute):
    """A route of requests that send a message. The event log tells of each request that is refused or fails."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute`."""
        handle = super().get_route_handler()

        async def handle_and_tell(request: Request) -> Response:
            try:
                return await handle(request)
            except ClientDisconnect:
                raise  # without an answer
            except Exception as error:
                user: User | None = getattr(request.state, "user", None)
                if user is not None:
                    tell_refused(request, user, f"POST {self.path_format}", error)
                raise

        return handle_and_tell


def tell_refused(request: Request, user: User, command: str, error: Exception) -> None:
    """Tell the event log of a user's request that sends nothing."""
    services_of(request).events.refused([*_refused(request, user, command, error)])


def note_envelope(request: Request, sender: str, recipients: Sequence[str]) -> None:
    """Note the envelope of a request's message as soon as it is known, for the case that it is refused."""
    request.state.envelope = _Noted(sender, recipients)


def _refused(request: Request, user: User, command: str, error: Exception) -> Iterator[Event]:
    """A refusal of each recipient who is the reason, otherwise one of the message."""
    sender, recipients = getattr(request.state, "envelope", None) or _Noted(user.address, ())
    status, only = response_status(error), recipients[0] if len(recipients) == 1 else ""
    told = [(each.address, each.reason) for each in error.recipients] if isinstance(error, RecipientsRefused) else []
    for recipient, reason in told or [(only, _reason(error))]:
        yield Event(
            EventName.REFUSED,
            account_id=AccountId(user.id),
            sender=sender,
            recipient=recipient,
            client=request.state.client.address,
            service=SERVICE,
            reply=f"{status.value} {reason or status.phrase}",
            detail={"command": command} | ({"recipients": len(recipients)} if len(recipients) > 1 else {}),
        )


def _reason(error: Exception) -> str:
    return str(error.detail) if isinstance(error, HTTPException) else ""
