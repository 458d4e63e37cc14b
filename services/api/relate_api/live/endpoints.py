"""`GET /api/events`: a stream of what changes in the account."""

from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request

from relate_api.access.dependencies import InjectedServices, Principal, Reader, Services
from relate_api.live.follower import Follower, find_position
from relate_api.live.position import MAX_TOKEN_CHARACTERS, Position, parse_token
from relate_api.live.response import MEDIA_TYPE, EventStream, Watch
from relate_api.live.stream import Stream
from relate_api.live.streams import Streams
from relate_mailstore.types import AccountId

PATH = "/api/events"

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events, until the client disconnects.",
        "content": {
            MEDIA_TYPE: {
                "schema": {"type": "string"},
                "example": 'id: AQEAAQEB\nevent: removed\ndata: {"mailbox":"INBOX","mailboxId":1,"uid":7}\n\n',
            }
        },
    }
}
_Field = Annotated[str | None, Header(alias="Last-Event-ID", max_length=MAX_TOKEN_CHARACTERS)]
_Parameter = Annotated[str | None, Query(alias="lastEventId", max_length=MAX_TOKEN_CHARACTERS)]

router = APIRouter(prefix=PATH, tags=["events"])


@router.get("", status_code=HTTPStatus.OK, response_class=EventStream, responses=_RESPONSES)
async def stream_events(
    request: Request,
    principal: Reader,
    services: InjectedServices,
    last_event_id: _Field = None,
    last_event_id_parameter: _Parameter = None,
) -> EventStream:
    """Tell of changes as they are committed, by Server-Sent Events.

    `new`, `changed` and `removed` tell of messages in mailboxes, `sent` and `bounced` of messages to other servers, one
    for each recipient. With the id of an event as `Last-Event-ID` (or `lastEventId`) the stream resumes after it;
    `reset` means that this is impossible, and that the client has to read its lists again.
    """
    streams: Streams = request.app.state.streams
    account_id, store = principal.account_id, services.store
    resources = AsyncExitStack()
    try:
        resources.enter_context(streams.reserve(account_id))
        notices = await resources.enter_async_context(store.listen(account_id))  # before the position is read
        token = last_event_id or last_event_id_parameter
        with services.tracing.work("api.live.open"):
            position = _resumed(account_id, token) if token else await find_position(store, account_id)
        follower = Follower(store, account_id, position)
        stream = Stream(position, follower, notices, services.tracing, streams.count, is_behind=bool(token))
    except BaseException:
        await resources.aclose()
        raise
    return EventStream(stream, streams, _watch(principal, services, streams), resources)


def _resumed(account_id: AccountId, token: str) -> Position | None:
    """The position of a token; None if it is malformed, or another user's."""
    position = parse_token(token)
    return position if position is not None and position.account_id == account_id else None


def _watch(principal: Principal, services: Services, streams: Streams) -> Watch:
    """End a stream when the key is revoked or expires, and when the process stops."""

    def watch(end: Callable[[], None]) -> Callable[[], None]:
        watches = ExitStack()
        watches.callback(services.authenticator.watch(principal.granted, end))
        watches.callback(streams.watch(end))
        return watches.close

    return watch
