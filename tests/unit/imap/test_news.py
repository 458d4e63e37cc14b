"""What a client is told of others' changes, and when: not on top of SELECT, and in IDLE with its origin."""

from collections.abc import AsyncGenerator
from typing import Any, cast

from relate_imap.commands import Bare
from relate_imap.framing import Frame, Mode
from relate_imap.handlers.idle import on_idle
from relate_imap.selected.updates import news
from relate_mailstore.types import INBOX, NewMessage
from relate_wire.ports import Push
from tests.unit.imap.mailroom import ACCOUNT, NOW, Mailroom, open_mailroom

RAW = b"Subject: x\r\n\r\nx\r\n"
ORIGIN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_select_tells_of_the_mailbox_itself_and_of_nothing_else() -> None:
    room = await open_mailroom(RAW, RAW)
    await room.expunge(room.entries[0].uid)
    assert await news(room.conversation, "SELECT") == b""
    assert await news(room.conversation, "EXAMINE") == b""
    assert b"* 1 EXPUNGE\r\n" in await news(room.conversation, "NOOP")


class Idler:
    """A client: mail comes as soon as it hears "+", and it ends IDLE when it was told of it."""

    def __init__(self, room: Mailroom) -> None:
        self._room = room
        self.heard = b""
        self.pushed: Push | None = None

    async def ask(self, prompt: bytes, mode: Mode, pushes: AsyncGenerator[Push, None]) -> Frame:
        self.heard = prompt
        await self._room.store.append(ACCOUNT, INBOX, [NewMessage(RAW, 0, (), NOW, ORIGIN)])
        self.pushed = await anext(pushes)
        await pushes.aclose()
        return Frame(b"DONE")


async def test_what_comes_once_idle_has_begun_is_pushed_with_its_origin() -> None:
    room = await open_mailroom(RAW, RAW)
    idler = Idler(room)
    room.conversation.client = cast("Any", idler)
    await room.expunge(room.entries[0].uid)  # before: the client is told of it before it hears "+"
    await room.ask(on_idle, Bare("a1", "IDLE"))
    assert idler.heard.startswith(b"* 1 EXPUNGE\r\n")
    assert idler.heard.endswith(b"+ idling\r\n")
    assert idler.pushed is not None
    assert b"* 2 EXISTS\r\n" in idler.pushed.octets
    assert idler.pushed.origins == (ORIGIN,)
