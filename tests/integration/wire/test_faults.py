"""Faults that the driver injects into a session, and their mark on the command's span."""

import asyncio
import time
from dataclasses import replace

import pytest

from relate_telemetry.ports import ProtocolTelemetry
from relate_wire.driver import Service
from relate_wire.faults import Disconnect, Fault, SessionFaults
from relate_wire.ports import CommandLike
from relate_wire.reply import Outcome, Reply
from tests.integration.wire.test_server import connected, serving
from tests.support.telemetry.receiver import recording_telemetry
from tests.support.toy_protocol import ToyCommand, ToyService, ToySession

REFUSED = Reply(b"not today\r\n", Outcome.REFUSED, "NO", uncounted=True)
DELAY_SECONDS = 0.1


class Faults:
    """Injects a fault into each command with one verb; lists the verbs of all commands."""

    def __init__(self, verb: str, fault: Fault) -> None:
        self.seen: list[str] = []
        self._verb, self._fault = verb, fault

    def session(self) -> SessionFaults:
        return self

    def choose(self, command: CommandLike) -> Fault | None:
        self.seen.append(command.verb)
        return self._fault if command.verb == self._verb else None


def faulty(
    fault: Fault, telemetry: ProtocolTelemetry | None = None, toy: ToyService | None = None
) -> tuple[Service, Faults]:
    faults = Faults("ECHO", fault)
    return replace((toy or ToyService()).service(telemetry=telemetry), faults=faults), faults


async def test_a_reply_is_sent_in_place_of_the_command_and_the_session_continues() -> None:
    service, faults = faulty(Fault(reply=REFUSED))
    async with serving(service) as port, connected(port) as client:
        assert await client.ask("ECHO a") == "not today"
        assert (await client.ask("WHO")).startswith("127.0.0.1")
        assert await client.ask("ECHO b") == "not today"
    assert faults.seen == ["ECHO", "WHO", "ECHO"]


async def test_a_delay_precedes_the_command_and_the_replies_before_it_are_sent_at_once() -> None:
    service, _ = faulty(Fault(delay_seconds=DELAY_SECONDS))
    async with serving(service) as port, connected(port) as client:
        began = time.perf_counter()
        await client.say("LATER", "ECHO a")
        assert await client.line() == "later"
        assert time.perf_counter() - began < DELAY_SECONDS
        assert await client.line() == "a"
        assert time.perf_counter() - began > 0.9 * DELAY_SECONDS  # uvloop's timers have milliseconds


@pytest.mark.parametrize(("disconnect", "executed"), [(Disconnect.BEFORE, 0), (Disconnect.AFTER, 1)])
async def test_a_disconnect_leaves_the_command_without_a_reply(disconnect: Disconnect, executed: int) -> None:
    handled: list[ToyCommand] = []

    async def echo(_: ToySession, command: ToyCommand) -> Reply:
        handled.append(command)
        return Reply(b"done\r\n")

    toy = ToyService(ECHO=echo)
    service, _ = faulty(Fault(disconnect=disconnect), toy=toy)
    async with serving(service) as port, connected(port) as client:
        await client.say("ECHO a")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await client.reader.readexactly(1)
        await toy.sessions[0].closed.wait()
    assert len(handled) == executed


@pytest.mark.parametrize(
    ("fault", "kind", "outcome"),
    [
        (Fault(reply=REFUSED), "reply", "refused"),
        (Fault(delay_seconds=0.001), "delay", "ok"),
        (Fault(disconnect=Disconnect.AFTER), "disconnect", "abandoned"),
    ],
)
async def test_the_span_of_the_command_is_marked(fault: Fault, kind: str, outcome: str) -> None:
    telemetry, recorder = recording_telemetry()
    toy = ToyService()
    service, _ = faulty(fault, telemetry.protocol("imap"), toy)
    async with serving(service) as port, connected(port) as client:
        await client.ask("WHO")
        await client.say("ECHO a", "QUIT")
        await toy.sessions[0].closed.wait()
    echo, who = recorder.span("imap.command.echo"), recorder.span("imap.command.who")
    assert echo.attributes["relate.injected_fault"] == kind
    assert echo.attributes["imap.outcome"] == outcome
    assert "relate.injected_fault" not in who.attributes
