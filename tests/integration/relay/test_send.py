"""Messages over a connection: what the server receives, and the result of each recipient."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest

from relate_relay.client.blocks import BLOCK_OCTETS
from relate_relay.client.capabilities import Capabilities
from relate_relay.client.content import MAX_PIPELINED_CHUNKS
from relate_relay.client.envelope import Envelope, Recipient
from relate_relay.client.errors import Disconnected, DisconnectFault, ProtocolViolation, Refused
from relate_relay.client.replies import Violation
from relate_relay.client.results import Outcome, Unsendable
from relate_relay.client.timeouts import Timeouts
from relate_relay.client.transaction import MAX_GROUP_COMMANDS
from tests.integration.relay.client_fixtures import (
    CLIENT_NAME,
    MESSAGE,
    Content,
    envelope,
    greeted,
    impatient,
    outcomes,
)
from tests.support.relay import sink as sinks
from tests.support.relay.recording import RecordingObserver
from tests.support.relay.sink import CAPABILITIES, WITHOUT_CHUNKING, Answer, Script, Sink, Then, in_thread, reply

ACCEPTED, TEMPORARY, PERMANENT = Outcome.ACCEPTED, Outcome.TEMPORARY, Outcome.PERMANENT
WITHOUT_PIPELINING = ("8BITMIME",)
OFFERS = pytest.mark.parametrize(
    "offer", [CAPABILITIES, WITHOUT_CHUNKING, WITHOUT_PIPELINING, ("CHUNKING",)], ids=["all", "data", "slow", "bdat"]
)


# --- what arrives


@OFFERS
async def test_a_message_arrives_as_it_is(offer: tuple[str, ...]) -> None:
    async with Sink(capabilities=offer) as sink:
        connection = await greeted(sink)
        results = await connection.send(envelope("bob@b.example", "eve@b.example"), Content())
        await connection.quit()
    (message,) = sink.messages
    assert message.content == MESSAGE
    assert (message.sender, [each.address for each in message.recipients]) == (
        "ann@a.example",
        ["bob@b.example", "eve@b.example"],
    )
    assert [(result.outcome, result.text) for result in results] == [(ACCEPTED, "250 2.6.0 accepted")] * 2
    assert message.client_name == CLIENT_NAME
    assert bool(message.chunks) == ("CHUNKING" in offer)
    assert sink.commands[-1] == "QUIT"


async def test_commands_are_sent_in_groups_with_pipelining_rfc_2920() -> None:
    async with Sink(capabilities=WITHOUT_CHUNKING) as sink:
        connection = await greeted(sink)
        await connection.send(envelope("a@b.example", "c@b.example"), Content())
        await connection.quit()
    assert sink.groups == [["EHLO"], ["MAIL", "RCPT", "RCPT", "DATA"], ["QUIT"]]


async def test_each_command_awaits_its_reply_without_pipelining() -> None:
    async with Sink(capabilities=WITHOUT_PIPELINING) as sink:
        connection = await greeted(sink)
        await connection.send(envelope(), Content())
        await connection.quit()
    assert sink.groups == [["EHLO"], ["MAIL"], ["RCPT"], ["DATA"], ["QUIT"]]


async def test_the_parameters_of_the_envelope_arrive() -> None:
    bob = Recipient("bob@b.example", notify="FAILURE,DELAY", orcpt="rfc822;bob@old.example")
    message = Envelope("ann@a.example", (bob,), len(MESSAGE), needs_8bit=True, ret="HDRS", envid="x+2By")
    async with Sink() as sink:
        connection = await greeted(sink)
        await connection.send(message, Content())
        await connection.quit()
    (received,) = sink.messages
    assert received.parameters == {"SIZE": str(len(MESSAGE)), "BODY": "8BITMIME", "RET": "HDRS", "ENVID": "x+2By"}
    assert received.recipients[0].parameters == {"NOTIFY": "FAILURE,DELAY", "ORCPT": "rfc822;bob@old.example"}


@OFFERS
async def test_content_of_many_chunks_arrives(offer: tuple[str, ...]) -> None:
    line = b".x" * 30 + b"\r\n"
    content = Content((line * 100, line[:7], line[7:], line * 40_000, b"", *[line * 500] * 100))
    async with Sink(capabilities=offer) as sink:
        connection = await greeted(sink)
        results = await connection.send(envelope(), content)
        await connection.quit()
    assert outcomes(results)[0][0] is ACCEPTED
    assert sink.messages[0].content == b"".join(content.chunks)
    if "CHUNKING" in offer:
        sizes = sink.messages[0].chunks
        assert len(sizes) > 2 * MAX_PIPELINED_CHUNKS
        assert min(sizes[:-1]) >= BLOCK_OCTETS
        assert max(sizes) < 2 * BLOCK_OCTETS


@OFFERS
@pytest.mark.parametrize("chunks", [(), (b"",), (b"no line end",)])
async def test_content_may_be_empty_or_lack_a_line_end(offer: tuple[str, ...], chunks: tuple[bytes, ...]) -> None:
    async with Sink(capabilities=offer) as sink:
        connection = await greeted(sink)
        results = await connection.send(envelope(), Content(chunks))
        await connection.quit()
    assert results[0].outcome is ACCEPTED
    expected = b"".join(chunks)
    if expected and "CHUNKING" not in offer:
        expected += b"\r\n"  # RFC 5321 §4.1.1.4
    assert sink.messages[0].content == expected


@OFFERS
async def test_many_messages_share_a_connection(offer: tuple[str, ...]) -> None:
    async with Sink({"RCPT": [sinks.OK, reply("550 no"), sinks.OK]}, capabilities=offer) as sink:
        connection = await greeted(sink)
        results = [await connection.send(envelope(), Content()) for _ in range(5)]
        await connection.quit()
    assert [result[0].outcome for result in results] == [ACCEPTED, PERMANENT, ACCEPTED, ACCEPTED, ACCEPTED]
    assert sink.connections == 1
    assert sink.commands.count("RSET") == 1


async def test_ten_thousand_recipients_are_sent_in_bounded_groups() -> None:
    addresses = [f"user{number}@b.example" for number in range(10_000)]
    script: Script = {"RCPT": lambda argument: reply("550 5.1.1 no") if "7@" in argument else None}
    async with Sink(script) as sink:
        connection = await greeted(sink)
        results = await connection.send(envelope(*addresses), Content())
        await connection.quit()
    assert max(map(len, sink.groups)) <= MAX_GROUP_COMMANDS
    assert [result.outcome is PERMANENT for result in results] == ["7@" in address for address in addresses]
    assert len(sink.messages[0].recipients) == 9_000


# --- refusals

NO = reply("550 5.7.1 no")
LATER = reply("451 4.3.0 later")
REFUSALS = pytest.mark.parametrize(("answer", "outcome"), [(NO, PERMANENT), (LATER, TEMPORARY)], ids=["5xx", "4xx"])


@REFUSALS
@OFFERS
@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "CONTENT"])
async def test_a_refusal_at_each_stage_is_the_result_and_the_connection_goes_on(
    stage: str, answer: Answer, outcome: Outcome, offer: tuple[str, ...]
) -> None:
    if "CHUNKING" in offer:
        stage = {"DATA": "BDAT", "CONTENT": "BDAT"}.get(stage, stage)
    async with Sink({stage: [answer, sinks.OK]}, capabilities=offer) as sink:
        connection = await greeted(sink)
        (refused,) = await connection.send(envelope(), Content())
        assert (refused.outcome, refused.command) == (outcome, stage)
        assert refused.text in str(answer.octets)
        if stage == "DATA":
            sink.script.clear()
        (accepted,) = await connection.send(envelope(), Content())
        await connection.quit()
    assert accepted.outcome is ACCEPTED
    assert sink.messages[-1].content == MESSAGE
    assert sink.connections == 1


async def test_the_recipients_of_one_message_have_their_own_results() -> None:
    script: Script = {"RCPT": [sinks.OK, reply("450 4.2.1 later"), reply("550 5.1.1 unknown"), reply("552 too many")]}
    async with Sink(script) as sink:
        connection = await greeted(sink)
        results = await connection.send(envelope("a@b", "c@b", "d@b", "e@b"), Content())
        await connection.quit()
    assert [result.outcome for result in results] == [ACCEPTED, TEMPORARY, PERMANENT, TEMPORARY]
    assert [result.status for result in results] == ["2.6.0", "4.2.1", "5.1.1", "4.0.0"]


async def test_nothing_is_sent_after_all_recipients_were_refused() -> None:
    content = Content()
    async with Sink({"RCPT": NO}, capabilities=WITHOUT_CHUNKING) as sink:
        connection = await greeted(sink)
        await connection.send(envelope(), content)
        await connection.quit()
    assert (sink.messages, content.read) == ([], 0)


async def test_data_that_is_accepted_without_recipients_gets_a_single_dot_rfc_2920_section_3_1() -> None:
    content = Content()
    script: Script = {"RCPT": [NO, sinks.OK], "DATA": reply("354 go on")}
    async with Sink(script, capabilities=WITHOUT_CHUNKING) as sink:
        connection = await greeted(sink)
        (refused,) = await connection.send(envelope(), content)
        assert content.read == 0
        (accepted,) = await connection.send(envelope(), content)
        await connection.quit()
    assert (refused.outcome, accepted.outcome) == (PERMANENT, ACCEPTED)
    assert [message.content for message in sink.messages] == [b"", MESSAGE]


async def test_a_refused_chunk_stops_the_content() -> None:
    content = Content(tuple([b"x" * BLOCK_OCTETS] * 200))
    async with Sink({"BDAT": [sinks.OK, sinks.OK, reply("552 5.3.4 too large")]}) as sink:
        connection = await greeted(sink)
        (refused,) = await connection.send(envelope(), content)
        assert (refused.outcome, refused.command, refused.status) == (PERMANENT, "BDAT", "5.3.4")
        assert content.read < 50
        sink.script.clear()
        (accepted,) = await connection.send(envelope(), Content())
        await connection.quit()
    assert accepted.outcome is ACCEPTED
    assert sink.connections == 1


async def test_a_message_that_the_server_cannot_take_is_not_sent() -> None:
    async with Sink(capabilities=("SIZE 10",)) as sink:
        connection = await greeted(sink)
        assert connection.capabilities == Capabilities(max_size=10)
        (too_large,) = await connection.send(Envelope("", (Recipient("a@b"),), size=11), Content())
        (needs_8bit,) = await connection.send(Envelope("", (Recipient("a@b"),), needs_8bit=True), Content())
        await connection.quit()
    assert (too_large.error, needs_8bit.error) == (Unsendable.TOO_LARGE, Unsendable.NEEDS_8BITMIME)
    assert sink.commands == ["EHLO", "QUIT"]


async def test_an_address_with_a_line_end_is_refused_before_anything_is_sent() -> None:
    async with Sink() as sink:
        connection = await greeted(sink)
        with pytest.raises(ValueError, match="recipient"):
            await connection.send(envelope("a@b", "c@d>\r\nRCPT TO:<e@f"), Content())
        assert connection.is_open
        await connection.quit()
    assert sink.commands == ["EHLO", "QUIT"]


# --- lost connections

STAGES: Mapping[str, tuple[str, ...]] = {
    "MAIL": WITHOUT_CHUNKING,
    "RCPT": WITHOUT_CHUNKING,
    "DATA": WITHOUT_CHUNKING,
    "CONTENT": WITHOUT_CHUNKING,
    "BDAT": CAPABILITIES,
}
AT_EACH_STAGE = pytest.mark.parametrize("stage", STAGES)


@AT_EACH_STAGE
@pytest.mark.parametrize("answer", [sinks.CLOSE, sinks.RESET], ids=["closed", "reset"])
async def test_a_connection_that_is_lost_before_a_reply_is_temporary(stage: str, answer: Answer) -> None:
    async with Sink({stage: answer}, capabilities=STAGES[stage]) as sink:
        connection = await greeted(sink)
        results = await connection.send(envelope("a@b", "c@b"), Content())
        assert not connection.is_open
        await connection.quit()
    assert outcomes(results) == [(TEMPORARY, stage)] * 2
    assert all(isinstance(result.error, Disconnected) for result in results)
    assert [result.may_be_delivered for result in results] == [stage in ("CONTENT", "BDAT")] * 2
    assert results[0].status == "4.4.2"


@AT_EACH_STAGE
async def test_a_silent_server_is_temporary(stage: str) -> None:
    async with Sink({stage: sinks.SILENT}, capabilities=STAGES[stage]) as sink:
        connection = await greeted(sink, impatient(stage))
        results = await connection.send(envelope(), Content())
        assert not connection.is_open
        await sink.disconnected()
    assert outcomes(results) == [(TEMPORARY, stage)]
    error = results[0].error
    assert isinstance(error, Disconnected)
    assert error.reason is DisconnectFault.TIMEOUT
    assert results[0].may_be_delivered == (stage in ("CONTENT", "BDAT"))


async def test_a_reply_must_be_complete_in_time() -> None:
    slow = Answer(b"250 " + b"x" * 500 + b"\r\n", pause_seconds=0.01)
    async with Sink({"MAIL": slow}) as sink:
        connection = await greeted(sink, impatient("MAIL"))
        (result,) = await connection.send(envelope(), Content())
    assert outcomes([result]) == [(TEMPORARY, "MAIL")]


async def test_a_slow_reply_within_its_time_is_accepted() -> None:
    slow = Answer(b"250 ok\r\n", pause_seconds=0.005)
    async with Sink({"MAIL": slow, "RCPT": slow, "CONTENT": slow}) as sink:
        connection = await greeted(sink)
        (result,) = await connection.send(envelope(), Content())
        await connection.quit()
    assert result.outcome is ACCEPTED


@AT_EACH_STAGE
async def test_421_is_temporary_and_ends_the_connection(stage: str) -> None:
    async with Sink({stage: sinks.CLOSING}, capabilities=STAGES[stage]) as sink:
        connection = await greeted(sink)
        (result,) = await connection.send(envelope(), Content())
        assert not connection.is_open
        await sink.disconnected()
    assert (result.outcome, result.command, result.text) == (TEMPORARY, stage, "421 4.3.2 closing")
    assert not result.may_be_delivered


async def test_421_after_some_refusals_leaves_them_as_they_are() -> None:
    async with Sink({"RCPT": [sinks.OK, NO, sinks.CLOSING]}) as sink:
        connection = await greeted(sink)
        results = await connection.send(envelope("a@b", "c@b", "d@b", "e@b"), Content())
    assert [result.outcome for result in results] == [TEMPORARY, PERMANENT, TEMPORARY, TEMPORARY]


@AT_EACH_STAGE
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (sinks.NONSENSE, Violation.NO_CODE),
        (sinks.LONG_LINE, Violation.TOO_LONG),
        (sinks.MANY_LINES, Violation.TOO_LONG),
        (Answer(b"250 a\0b\r\n"), Violation.NUL),
        (Answer(b"250-a\r\n550 b\r\n"), Violation.CODE_CHANGED),
        (Answer(b"199 ok\r\n"), Violation.CODE_OUT_OF_RANGE),
    ],
    ids=lambda value: value.name if isinstance(value, Violation) else "",
)
async def test_nonsense_is_temporary_and_ends_the_connection(stage: str, answer: Answer, reason: Violation) -> None:
    async with Sink({stage: answer}, capabilities=STAGES[stage]) as sink:
        connection = await greeted(sink)
        (result,) = await connection.send(envelope(), Content())
        assert not connection.is_open
        await sink.disconnected()
    assert outcomes([result]) == [(TEMPORARY, stage)]
    assert isinstance(result.error, ProtocolViolation)
    assert result.error.reason is reason


async def test_a_connection_that_is_lost_within_the_content_has_not_delivered() -> None:
    content = Content(tuple([b"x" * 998 + b"\r\n"] * 100_000))
    async with Sink({"DATA": reply("354 go on", Then.RESET)}, capabilities=WITHOUT_CHUNKING) as sink:
        connection = await greeted(sink)
        (result,) = await connection.send(envelope(), content)
        await connection.quit()
    assert result.outcome is TEMPORARY
    assert not result.may_be_delivered
    assert content.read < 100_000


async def test_a_refusal_before_the_end_of_the_content_is_the_result() -> None:
    content = Content(tuple([b"x" * 998 + b"\r\n"] * 200_000))
    early = Answer(b"354 go on\r\n554 5.7.1 no\r\n")
    async with Sink({"DATA": early}, capabilities=WITHOUT_CHUNKING) as sink:
        connection = await greeted(sink)
        (result,) = await connection.send(envelope(), content)
        assert not connection.is_open
        await sink.disconnected()
    assert (result.outcome, result.status, result.command) == (PERMANENT, "5.7.1", "CONTENT")
    assert content.read < 200_000
    assert sink.messages == []


async def test_an_acceptance_before_the_end_of_the_content_is_none() -> None:
    content = Content(tuple([b"x" * 998 + b"\r\n"] * 200_000))
    early = Answer(b"354 go on\r\n250 2.6.0 accepted\r\n")
    async with Sink({"DATA": early}, capabilities=WITHOUT_CHUNKING) as sink:
        connection = await greeted(sink)
        (result,) = await connection.send(envelope(), content)
        await sink.disconnected()
    assert result.outcome is TEMPORARY
    assert isinstance(result.error, ProtocolViolation)
    assert result.error.reason is Violation.UNREQUESTED


@pytest.mark.parametrize("offer", [CAPABILITIES, WITHOUT_CHUNKING], ids=["bdat", "data"])
async def test_a_server_that_does_not_read_the_content_is_temporary(offer: tuple[str, ...]) -> None:
    verb = "BDAT" if "CHUNKING" in offer else "CONTENT"
    hung = asyncio.Event()

    class Deaf(Sink):
        async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 sink.example\r\n")
            await reader.readline()
            writer.write("".join(f"250-{line}\r\n" for line in ("sink.example", *offer)).encode() + b"250 X\r\n")
            await reader.readuntil(b"RCPT TO:<bob@b.example>\r\n")
            writer.write(b"250 ok\r\n250 ok\r\n" + (b"" if verb == "BDAT" else b"354 go on\r\n"))
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await hung.wait()
            writer.close()

    async with Deaf() as sink:
        connection = await greeted(sink, replace(Timeouts(), block_seconds=0.1, end_seconds=0.1))
        (result,) = await connection.send(envelope(), Content(tuple([b"x" * 998 + b"\r\n"] * 50_000)))
        hung.set()
    assert outcomes([result]) == [(TEMPORARY, verb)]
    assert isinstance(result.error, Disconnected)
    assert result.error.reason in (DisconnectFault.STALLED, DisconnectFault.TIMEOUT)


# --- replies without a command


async def test_421_that_came_while_the_connection_was_idle_answers_the_next_command() -> None:
    async with Sink(
        {"CONTENT": Answer(b"250 ok\r\n421 4.4.2 idle\r\n", Then.CLOSE)}, capabilities=WITHOUT_CHUNKING
    ) as sink:
        connection = await greeted(sink)
        (accepted,) = await connection.send(envelope(), Content())
        await sink.disconnected()
        (later,) = await connection.send(envelope(), Content())
    assert accepted.outcome is ACCEPTED
    assert (later.outcome, later.command, later.text) == (TEMPORARY, "MAIL", "421 4.4.2 idle")


async def test_a_reply_without_a_command_is_not_taken_for_the_reply_to_the_next_one() -> None:
    async with Sink({"CONTENT": Answer(b"250 ok\r\n250 ok\r\n")}, capabilities=WITHOUT_CHUNKING) as sink:
        connection = await greeted(sink)
        await connection.send(envelope(), Content())
        (result,) = await connection.send(envelope(), Content())
        assert not connection.is_open
        await sink.disconnected()
    assert result.outcome is TEMPORARY
    assert isinstance(result.error, ProtocolViolation)
    assert result.error.reason is Violation.UNREQUESTED


# --- RSET, QUIT, abort


async def test_reset_shows_whether_the_connection_is_alive() -> None:
    async with Sink({"RSET": [sinks.OK, NO, sinks.CLOSE]}) as sink:
        connection = await greeted(sink)
        await connection.reset()
        with pytest.raises(Refused):
            await connection.reset()
        assert connection.is_open
        with pytest.raises(Disconnected):
            await connection.reset()
        assert not connection.is_open


@pytest.mark.parametrize("answer", [NO, LATER, sinks.CLOSING])
async def test_a_refused_reset_is_temporary_for_the_next_message_and_ends_the_connection(answer: Answer) -> None:
    async with Sink({"RCPT": [NO, sinks.OK], "RSET": answer}) as sink:
        connection = await greeted(sink)
        await connection.send(envelope(), Content())
        (result,) = await connection.send(envelope(), Content())
        assert not connection.is_open
        await sink.disconnected()
    assert outcomes([result]) == [(TEMPORARY, "RSET")]
    assert result.text.startswith("RSET refused: ")


async def test_a_message_that_is_not_sent_leaves_the_reset_to_the_next_one() -> None:
    async with Sink({"RCPT": [NO, sinks.OK]}, capabilities=()) as sink:
        connection = await greeted(sink)
        needs_8bit = replace(envelope(), needs_8bit=True)
        results = [await connection.send(each, Content()) for each in (envelope(), needs_8bit, envelope())]
        await connection.quit()
    assert [result.outcome for (result,) in results] == [PERMANENT, PERMANENT, ACCEPTED]


async def test_a_closed_connection_is_temporary() -> None:
    async with Sink() as sink:
        connection = await greeted(sink)
        connection.abort()
        (result,) = await connection.send(envelope(), Content())
        await sink.disconnected()
    assert outcomes([result]) == [(TEMPORARY, "MAIL")]


@pytest.mark.parametrize("answer", [NO, sinks.CLOSE, sinks.RESET, sinks.SILENT, sinks.NONSENSE])
async def test_quit_does_not_fail(answer: Answer) -> None:
    async with Sink({"QUIT": answer}) as sink:
        connection = await greeted(sink, impatient("QUIT"))
        await connection.quit()
        assert not connection.is_open
        await connection.quit()
        await sink.disconnected()


async def test_an_exception_of_the_content_is_raised_and_the_message_is_not_sent() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 200_000
        raise ZeroDivisionError

    for offer in (CAPABILITIES, WITHOUT_CHUNKING):
        async with Sink(capabilities=offer) as sink:
            connection = await greeted(sink)
            with pytest.raises(ZeroDivisionError):
                await connection.send(envelope(), broken())
            assert not connection.is_open
            await sink.disconnected()
        assert sink.messages == []


async def test_a_cancelled_transaction_closes_the_connection() -> None:
    async with Sink({"MAIL": sinks.SILENT}) as sink:
        connection = await greeted(sink)
        sending = asyncio.create_task(connection.send(envelope(), Content()))
        await sink.received("MAIL")
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert not connection.is_open
        await sink.disconnected()


# --- steps


async def test_each_step_is_observed_with_its_reply() -> None:
    observer = RecordingObserver()
    async with Sink({"RCPT": [sinks.OK, NO]}, capabilities=WITHOUT_CHUNKING) as sink:
        connection = await greeted(sink, observer=observer)
        connection.observer = second = RecordingObserver()
        await connection.send(envelope("a@b", "c@d"), Content())
        await connection.quit()
    assert observer.steps[:2] == [("connect", ""), ("GREETING", "220 sink.example ESMTP")]
    assert [name for name, _ in observer.steps[2:]] == ["EHLO"]
    assert second.steps == [
        ("MAIL", "250 2.0.0 OK"),
        ("RCPT", "250 2.0.0 OK"),
        ("RCPT", "550 5.7.1 no"),
        ("DATA", "354 go on"),
        ("CONTENT", "250 2.6.0 accepted"),
        ("QUIT", "221 2.0.0 closing"),
    ]


async def test_a_failed_step_is_observed_with_its_reason() -> None:
    observer = RecordingObserver()
    async with Sink({"BDAT": sinks.NONSENSE}) as sink:
        connection = await greeted(sink, observer=observer)
        (result,) = await connection.send(envelope(), Content())
    assert observer.steps[-1] == ("BDAT", f"failed: {result.text}")


def test_the_sink_runs_in_a_thread() -> None:
    async def deliver(sink: Sink) -> None:
        connection = await greeted(sink)
        await connection.send(envelope(), Content())
        await connection.quit()

    with in_thread(Sink()) as sink:
        asyncio.run(deliver(sink))
    assert sink.messages[0].accepted
