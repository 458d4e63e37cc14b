"""When mail is attempted again, told to be delayed, and given up, by a clock that the test turns."""

from contextlib import AsyncExitStack

from relate_mailstore.queue_types import QueueFilter
from relate_relay.queue.schedule import JITTER_SHARE, MAX_AGE_SECONDS, NOTICE_SECONDS, RETRY_SECONDS, Schedule
from tests.integration.sending.conftest import Home
from tests.support.relay.internet import Internet
from tests.support.relay.sink import reply
from tests.support.relay.system import System, TurnedClock, report_fields

GREYLISTED = {"RCPT": reply("451 4.7.1 greylisted")}
BOB = "bob@there.test"
GREYLISTING_SECONDS = 300.0  # RFC 6647 §5.2: most servers accept the second attempt after that
RESTART_EVERY = 5  # attempts


async def due_after(system: System, attempts: int) -> float | None:
    """When the recipient is due after so many attempts, None if it was given up."""

    async def is_settled() -> bool:
        rows = await system.rows()
        return not rows or (rows[BOB].attempts == attempts and rows[BOB].state == "queued")

    await system.until(is_settled)
    rows = await system.rows()
    return rows[BOB].due if rows else None


async def test_attempts_are_made_at_the_documented_times_until_the_fifth_day(home: Home, internet: Internet) -> None:
    clock = TurnedClock()
    began = clock.now
    await internet.domain("there.test", GREYLISTED)
    made = home.system(internet, schedule=Schedule(), clock=clock)
    delays: list[float] = []
    async with AsyncExitStack() as stack:
        system = await stack.enter_async_context(made.running())
        await system.submit(BOB)
        while (due := await due_after(system, len(delays) + 1)) is not None:
            delays.append(due - clock.now)
            if len(delays) % RESTART_EVERY == 0:
                await stack.aclose()
                system = await stack.enter_async_context(made.running())
                assert (await system.rows())[BOB].due == due
            clock.now = due
            system.wake()
        reports = [(report_fields(each)[1]["Action"], each["Subject"]) for each in await system.reports()]
        (_, given_up) = [report_fields(each)[1] for each in await system.reports()]
    assert delays[0] <= GREYLISTING_SECONDS
    assert clock.now - began == MAX_AGE_SECONDS
    for number, delay in enumerate(delays[:-1]):  # the last attempt is at the end of the time
        documented = RETRY_SECONDS[min(number, len(RETRY_SECONDS) - 1)]
        assert documented <= delay <= documented * (1 + JITTER_SHARE)
    assert [action for action, _ in reports] == ["delayed", "failed"]
    assert given_up["Status"] == "5.4.7"
    assert "451 4.7.1 greylisted" in given_up["Diagnostic-Code"]


async def test_the_sender_is_told_once_after_four_hours(home: Home, internet: Internet) -> None:
    clock = TurnedClock()
    await internet.domain("there.test", GREYLISTED)
    async with home.system(internet, schedule=Schedule(), clock=clock).running() as system:
        await system.submit(BOB)
        arrived = clock.now
        for attempts in range(1, 10):
            due = await due_after(system, attempts)
            assert len(await system.reports()) == (clock.now - arrived >= NOTICE_SECONDS)
            assert due is not None
            clock.now = due
            system.wake()


async def test_an_operator_moves_the_next_attempt_to_now(home: Home, internet: Internet) -> None:
    sink = await internet.domain("there.test", {"RCPT": [reply("451 4.7.1 greylisted"), reply("250 ok")]})
    async with home.system(internet, schedule=Schedule(), clock=TurnedClock()).running() as system:
        await system.submit(BOB)
        await due_after(system, 1)
        assert await system.store.queue.retry(QueueFilter(domain="there.test")) == 1
        await system.until(system.is_empty)
    assert len(sink.messages) == 1


async def test_a_clock_that_steps_neither_loses_nor_repeats_mail(home: Home, internet: Internet) -> None:
    clock = TurnedClock()
    sink = await internet.domain("there.test", {"RCPT": [reply("451 4.7.1 greylisted"), reply("250 ok")]})
    async with home.system(internet, schedule=Schedule(), clock=clock).running() as system:
        await system.submit(BOB)
        await due_after(system, 1)
        clock.now -= 30 * 86_400.0  # a month back: what is due a month ahead is due now
        system.wake()
        await system.until(system.is_empty)
        clock.now += 60 * 86_400.0
        await system.submit("eve@there.test")
        await system.until(system.is_empty)
        assert await system.reports() == []
    assert [to.address for each in sink.messages for to in each.recipients] == [BOB, "eve@there.test"]
