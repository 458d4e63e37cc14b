"""How a stream of an account is opened, and what ends it."""

from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack

from relate_api.access.dependencies import Principal, Services
from relate_api.live.follower import Follower, find_position
from relate_api.live.position import Position, parse_token
from relate_api.live.response import EventStream, Watch
from relate_api.live.stream import Stream
from relate_api.live.streams import Streams
from relate_mailstore.types import AccountId


async def open_stream(
    streams: Streams, principal: Principal, services: Services, token: str | None, watch: Watch
) -> EventStream:
    """The stream after the position of a token, or from now on; `watch` ends it. Raises HTTPException at a limit."""
    account_id, store = principal.account_id, services.store
    resources = AsyncExitStack()
    try:
        resources.enter_context(streams.reserve(account_id))
        notices = await resources.enter_async_context(store.listen(account_id))  # before the position is read
        with services.tracing.work("api.live.open"):
            position = _resumed(account_id, token) if token else await find_position(store, account_id)
        follower = Follower(store, account_id, position)
        stream = Stream(position, follower, notices, services.tracing, streams.count, is_behind=bool(token))
    except BaseException:
        await resources.aclose()
        raise
    return EventStream(stream, streams, watch, resources)


def _resumed(account_id: AccountId, token: str) -> Position | None:
    """The position of a token; None if it is malformed, or another user's."""
    position = parse_token(token)
    return position if position is not None and position.account_id == account_id else None


def watch_key(principal: Principal, services: Services, streams: Streams) -> Watch:
    """End a stream when the key is revoked or expires, and when the process stops."""

    def watch(end: Callable[[], None]) -> Callable[[], None]:
        watches = ExitStack()
        watches.callback(services.authenticator.watch(principal.granted, end))
        watches.callback(streams.watch(end))
        return watches.close

    return watch
