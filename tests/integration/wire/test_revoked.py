"""A session whose key is revoked ends: at once while idle, after the current command, or when its grace expires."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from relate_wire import connection
from relate_wire.lines import LineMode
from relate_wire.ports import Farewell, Push
from relate_wire.reply import Reply
from tests.integration.wire.test_server import connected, serving
from tests.support.toy_protocol import ToyCommand, ToyService, ToySession, ask

FAREWELL = "leaving: key revoked"


@pytest.fixture
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REVOKED_GRACE_SECONDS", 0.0)


def revoke(toy: ToyService) -> None:
    toy.sessions[0].client.end(Farewell.REVOKED)


async def test_revocation_ends_an_idle_session_at_once() -> None:
    toy = ToyService()
    async with serving(toy.service()) as port, connected(port) as client:
        revoke(toy)
        assert await client.line() == FAREWELL
        assert await client.reader.read() == b""


async def test_revocation_lets_the_current_command_finish_and_no_pipelined_one() -> None:
    async def end(session: ToySession, _: ToyCommand) -> Reply:
        session.client.end(Farewell.REVOKED)
        return Reply(b"done\r\n")

    async with serving(ToyService(END=end).service()) as port, connected(port) as client:
        await client.say("END", "ECHO never", "ECHO never")
        assert await client.reader.read() == f"done\r\n{FAREWELL}\r\n".encode()


async def test_revocation_lets_a_command_with_a_prompt_finish() -> None:
    toy = ToyService()
    async with serving(toy.service()) as port, connected(port) as client:
        assert await client.ask("ASK") == "go on"
        revoke(toy)
        assert await client.ask("more") == "you said more"
        assert await client.line() == FAREWELL


@pytest.mark.usefixtures("no_grace")
async def test_a_command_that_waits_for_input_ends_after_the_revocation_grace() -> None:
    toy = ToyService()
    async with serving(toy.service()) as port, connected(port) as client:
        assert await client.ask("ASK") == "go on"
        revoke(toy)
        assert await client.line() == FAREWELL
        assert await client.reader.read() == b""
        await toy.sessions[0].closed.wait()


@pytest.mark.usefixtures("no_grace")
async def test_a_command_that_prompts_repeatedly_ends_after_the_revocation_grace() -> None:
    async def chat(session: ToySession, command: ToyCommand) -> Reply:
        while True:
            await ask(session, command)

    toy = ToyService(CHAT=chat)
    async with serving(toy.service()) as port, connected(port) as client:
        assert await client.ask("CHAT") == "go on"
        revoke(toy)
        answers = [await client.ask("more")]
        while answers[-1] == "go on":
            answers.append(await client.ask("more"))
        assert answers[-1] in {FAREWELL, ""}
        await toy.sessions[0].closed.wait()


@pytest.mark.usefixtures("no_grace")
async def test_an_endless_reply_is_aborted_after_the_revocation_grace() -> None:
    async def endless(_: ToySession, __: ToyCommand) -> Reply:
        async def body() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 1_000

        return Reply(b"begun\r\n", body=body())

    toy = ToyService(ENDLESS=endless)
    async with serving(toy.service()) as port, connected(port) as client:
        assert await client.ask("ENDLESS") == "begun"
        revoke(toy)
        with contextlib.suppress(ConnectionError):
            while await client.reader.read(65_536):
                pass
        await toy.sessions[0].closed.wait()


async def test_revocation_ends_a_wait_with_pushes_at_once() -> None:
    async def pushes() -> AsyncGenerator[Push, None]:
        await asyncio.Event().wait()
        yield Push(b"")

    async def wait(session: ToySession, _: ToyCommand) -> Reply:
        await session.client.ask(b"waiting\r\n", LineMode.RESPONSE, pushes())
        return Reply(b"")

    toy = ToyService(WAIT=wait)
    async with serving(toy.service()) as port, connected(port) as client:
        assert await client.ask("WAIT") == "waiting"
        revoke(toy)
        assert await client.line() == FAREWELL
