"""Pending updates after SELECT and during IDLE."""

from collections.abc import AsyncGenerator
from typing import Any, cast

from relate_imap.commands import NoArguments
from relate_imap.framing import Frame, Mode
from relate_imap.handlers.idle import on_idle
from relate_imap.selected.updates import pending_updates
from relate_mailstore.types import INBOX, NewMessage
from relate_wire.ports import Push
from tests.unit.imap.handler_harness import ACCOUNT, NOW, HandlerHarness, open_harness

RAW = b"Subject: x\r\n\r\nx\r\n"
ORIGIN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_select_sends_no_pending_updates() -> None:
    harness = await open_harness(RAW, RAW)
    await harness.expunge(harness.entries[0].uid)
    assert await pending_updates(harness.conversation, "SELECT") == b""
    assert await pending_updates(harness.conversation, "EXAMINE") == b""
    assert b"* 1 EXPUNGE\r\n" in await pending_updates(harness.conversation, "NOOP")


class Idler:
    """A client that receives mail when it is prompted, and sends DONE after the first push."""

    def __init__(self, harness: HandlerHarness) -> None:
        self._harness = harness
        self.prompt = b""
        self.pushed: Push | None = None

    async def ask(self, prompt: bytes, mode: Mode, pushes: AsyncGenerator[Push, None]) -> Frame:
        self.prompt = prompt
        await self._harness.store.append(ACCOUNT, INBOX, [NewMessage(RAW, 0, (), NOW, ORIGIN)])
        self.pushed = await anext(pushes)
        await pushes.aclose()
        return Frame(b"DONE")


async def test_idle_pushes_changes_with_origin() -> None:
    harness = await open_harness(RAW, RAW)
    idler = Idler(harness)
    harness.conversation.client = cast("Any", idler)
    await harness.expunge(harness.entries[0].uid)  # before IDLE, so it is sent before "+"
    await harness.execute(on_idle, NoArguments("a1", "IDLE"))
    assert idler.prompt.startswith(b"* 1 EXPUNGE\r\n")
    assert idler.prompt.endswith(b"+ idling\r\n")
    assert idler.pushed is not None
    assert b"* 2 EXISTS\r\n" in idler.pushed.octets
    assert idler.pushed.origins == (ORIGIN,)
