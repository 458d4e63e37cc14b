"""Servers that misbehave: the state in the queue is right, and nothing is lost or sent twice."""

from typing import NamedTuple

from relate_mailstore.queue_types import QueueFilter, QueueState
from relate_relay.client.timeouts import Timeouts
from tests.integration.sending.conftest import Home
from tests.support.relay import sink as sinks
from tests.support.relay.internet import Internet
from tests.support.relay.sink import WITHOUT_CHUNKING, Answer, Sink, Then, reply
from tests.support.relay.system import NEVER_AGAIN, report_fields

PATIENCE_SECONDS = 5.0  # with a server that is silent
TIMEOUTS = Timeouts(
    **{f"{step}_seconds": PATIENCE_SECONDS for step in ("tls", "greeting", "mail", "rcpt", "data", "end", "other")}
)
QUEUED, FAILED, LEFT = "queued", "failed", ""


class Trouble(NamedTuple):
    """What a server does at a stage, and the state of the recipient after the first attempt; empty if it has left."""

    stage: str
    answer: Answer
    state: str = QUEUED

    @property
    def copies(self) -> int:
        """How many copies the server accepts: a second one if the reply by which it accepts cannot be read."""
        return int(self.state != FAILED) + (self.stage == "CONTENT" and self.answer.accepts)


STAGES = ("GREETING", "EHLO", "MAIL", "RCPT", "DATA", "CONTENT")
IN_A_CONVERSATION = (
    *(Trouble(stage, sinks.CLOSE) for stage in STAGES),
    *(Trouble(stage, sinks.RESET) for stage in STAGES),
    *(Trouble(stage, sinks.SILENT) for stage in STAGES),
    *(Trouble(stage, sinks.NONSENSE) for stage in STAGES),
    *(Trouble(stage, sinks.LONG_LINE) for stage in STAGES),
    *(Trouble(stage, sinks.MANY_LINES) for stage in STAGES),
    *(Trouble(stage, reply("451 4.3.0 later")) for stage in STAGES),
    *(Trouble(stage, reply("421 4.3.2 closing", Then.CLOSE)) for stage in STAGES),
    *(Trouble(stage, reply("550 5.7.1 no"), FAILED) for stage in STAGES if stage != "EHLO"),
    Trouble("EHLO", reply("550 5.7.1 no"), LEFT),  # HELO follows
    Trouble("RCPT", Answer(b"250 2.1.5 ok\r\n", pause_seconds=0.01), LEFT),
    Trouble("QUIT", sinks.SILENT, LEFT),
    Trouble("QUIT", sinks.RESET, LEFT),
)


async def test_mail_to_servers_that_misbehave_is_neither_lost_nor_repeated(any_home: Home, internet: Internet) -> None:
    troubles: dict[str, tuple[Trouble, Sink]] = {}
    for number, trouble in enumerate(IN_A_CONVERSATION):
        script = {trouble.stage: trouble.answer}
        sink = await internet.domain(f"trouble{number}.test", script, capabilities=WITHOUT_CHUNKING)
        troubles[f"bob@trouble{number}.test"] = trouble, sink
    async with any_home.system(internet, schedule=NEVER_AGAIN, timeouts=TIMEOUTS).running() as system:
        for address in troubles:
            await system.submit(address)
        await system.until(system.is_attempted)
        waiting = [address for address, (trouble, _) in troubles.items() if trouble.state == QUEUED]
        failed = [address for address, (trouble, _) in troubles.items() if trouble.state == FAILED]
        assert await system.states() == dict.fromkeys(waiting, QUEUED)
        reports = [report_fields(each)[1]["Final-Recipient"] for each in await system.reports()]
        assert sorted(reports) == sorted(f"rfc822; {address}" for address in failed)
        for _, sink in troubles.values():
            sink.script.clear()
        await system.store.queue.retry(QueueFilter(state=QueueState.QUEUED))
        await system.until(system.is_empty)
    assert system.failures == 0
    for trouble, sink in troubles.values():
        assert sum(each.accepted for each in sink.messages) == trouble.copies, trouble


async def test_a_reply_that_is_lost_after_the_acceptance_is_the_only_cause_of_a_copy(
    any_home: Home, internet: Internet
) -> None:
    lost = Answer(b"", Then.CLOSE)
    sink = await internet.domain("there.test", {"CONTENT": [lost, sinks.OK]}, capabilities=WITHOUT_CHUNKING)
    async with any_home.system(internet).running() as system:
        await system.submit("bob@there.test")
        await system.until(system.is_empty)
    assert len(sink.messages) == 2  # RFC 1047: the relay cannot know whether the server has the first one
