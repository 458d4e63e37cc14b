"""How many recipients elsewhere an account may send to: what leaves, what is held, and that its owner is told once."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from shutil import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.event_rules import of_own_message
from relate_mailstore.event_types import EventName, EventQuery
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.queue_types import Excess, QueueFilter, QueueState, SendingLimit
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Delivery, Destination, Receipt
from tests.contract.outgoing import Clock, sent
from tests.contract.stores import opened
from tests.support.examples import examples
from tests.support.factories import delivery, simple

Mail = MemoryMailStore | SqlMailStore

HOUR_SECONDS, DAY_SECONDS = 3_600, 86_400
ALICE, BOB = AccountId(1), AccountId(2)
HOUR, DAY = SendingLimit(HOUR_SECONDS, 10), SendingLimit(DAY_SECONDS, 25)
NOTICE = replace(delivery(ALICE), events=of_own_message(ALICE, "alice@example.org", "smtp", 100))


def limited(
    account_id: AccountId, recipients: int, *limits: SendingLimit, local: tuple[AccountId, ...] = ()
) -> Delivery:
    message = sent(account_id, *(f"{number}@example.com" for number in range(recipients)), local=local)
    assert message.outgoing is not None
    return replace(message, outgoing=replace(message.outgoing, limits=limits or (HOUR, DAY)))


async def send(mail: Mail, recipients: int, *limits: SendingLimit, account_id: AccountId = ALICE) -> Excess | None:
    return (await mail.deliver(limited(account_id, recipients, *limits))).excess


async def states(mail: Mail, query: QueueFilter = QueueFilter()) -> Counter[QueueState]:  # noqa: B008 - frozen
    return Counter(row.state for row in (await mail.queue.find(query, 10_000)).items)


async def test_the_message_that_exceeds_the_limit_is_held_with_all_its_recipients(mail: Mail) -> None:
    assert await send(mail, 10) is None
    receipt = await mail.deliver(limited(ALICE, 3))
    assert (receipt.queued, receipt.excess) == (3, Excess(HOUR, 13, is_told=False))
    rows = (await mail.queue.find(QueueFilter(state=QueueState.HELD), 10)).items
    assert [(row.message_id, row.due, row.reply) for row in rows] == [
        (receipt.message_id, None, "held: more than 10 recipients in an hour")
    ] * 3
    assert len(await mail.queue.claim("one", 100, 100, {})) == 10


async def test_the_event_log_says_why_a_message_is_held(mail: Mail) -> None:
    receipt = await mail.deliver(limited(ALICE, 11))
    events = await mail.events.find(EventQuery(message_id=receipt.message_id))
    assert {event.name for event in events} == {EventName.HELD}
    assert [event.recipient for event in events] == [f"{number}@example.com" for number in range(11)]
    assert events[0].detail == {"reason": "more than 10 recipients in an hour", "sent": 11}
    assert (events[0].account_id, events[0].sender) == (ALICE, "ann@example.org")


async def test_local_recipients_do_not_count_and_get_what_is_held_for_others(mail: Mail) -> None:
    assert await send(mail, 10) is None
    receipt = await mail.deliver(limited(ALICE, 1, local=(BOB,)))
    assert receipt.excess is not None
    assert len((await mail.snapshot(BOB)).entries) == 1
    local_only = await mail.deliver(Delivery(simple(), (Destination(BOB),)))
    assert local_only.excess is None


async def test_each_account_has_its_own_count(mail: Mail) -> None:
    assert await send(mail, 10) is None
    assert await send(mail, 10, account_id=BOB) is None
    assert await send(mail, 1, account_id=BOB) == Excess(HOUR, 11, is_told=False)


async def test_mail_without_a_limit_is_not_counted(mail: Mail) -> None:
    await mail.deliver(sent(ALICE, *(f"{number}@example.com" for number in range(20))))
    assert await send(mail, 10) is None


async def test_the_hour_slides(mail: Mail, clock: Clock) -> None:
    start = clock.now
    assert await send(mail, 6, HOUR) is None
    clock.now = start + 1_800
    assert await send(mail, 4, HOUR) is None
    clock.now = start + HOUR_SECONDS - 1
    assert await send(mail, 1, HOUR) is not None
    clock.now = start + HOUR_SECONDS + HOUR_SECONDS / 24  # the first six do not count any more, the held one does
    assert await send(mail, 5, HOUR) is None
    assert await send(mail, 1, HOUR) is not None


async def test_no_hour_has_more_than_the_limit_wherever_it_begins(mail: Mail, clock: Clock) -> None:
    clock.now = 1_000_000_049.0  # one second before a step begins
    left = list[float]()
    for _ in range(300):
        if await send(mail, 1, SendingLimit(HOUR_SECONDS, 10)) is None:
            left.append(clock.now)
        clock.now += 401.0  # nine messages an hour
    assert max(sum(start <= each < start + HOUR_SECONDS for each in left) for start in left) <= 10
    assert len(left) == 300  # fewer than the limit in every hour


async def test_the_day_limit_is_told_when_both_are_exceeded(mail: Mail, clock: Clock) -> None:
    for _ in range(2):
        assert await send(mail, 10) is None
        clock.now += 2 * HOUR_SECONDS
    assert await send(mail, 11) == Excess(DAY, 31, is_told=False)
    rows = (await mail.queue.find(QueueFilter(state=QueueState.HELD), 1)).items
    assert rows[0].reply == "held: more than 25 recipients in a day"


async def test_a_release_does_not_count_again(mail: Mail, clock: Clock) -> None:
    assert await send(mail, 11) is not None
    clock.now += HOUR_SECONDS * 2
    assert await mail.queue.release(QueueFilter(account_id=ALICE)) == 11
    assert (await states(mail)) == {QueueState.QUEUED: 11}
    assert await send(mail, 10, HOUR) is None


async def test_a_clock_that_was_set_back_does_not_hold_mail_forever(mail: Mail, clock: Clock) -> None:
    assert await send(mail, 10) is None
    clock.now -= 30 * DAY_SECONDS
    assert await send(mail, 10) is None
    assert await send(mail, 1) is not None


async def test_a_process_whose_clock_is_a_little_behind_forgets_nothing(mail: Mail, clock: Clock) -> None:
    clock.now = 1_000_000_050.0  # a step begins
    assert await send(mail, 10) is None
    clock.now -= 1.0
    assert await send(mail, 1) is not None


async def test_a_delivery_that_is_refused_does_not_count(mail: Mail) -> None:
    missing = limited(ALICE, 10)
    with pytest.raises(MailboxNotFound):
        await mail.deliver(replace(missing, destinations=(Destination(BOB, "Nowhere"),)))
    assert await send(mail, 10) is None


async def test_a_delivery_to_an_account_without_mailboxes_counts_once(mail: Mail) -> None:
    assert (await mail.deliver(limited(ALICE, 5, local=(BOB,)))).excess is None  # is tried twice
    assert await send(mail, 5) is None


async def test_the_owner_is_told_once_in_a_period(mail: Mail, clock: Clock) -> None:
    await send(mail, 11, HOUR)
    assert await mail.tell_held(ALICE, HOUR, NOTICE)
    assert not await mail.tell_held(ALICE, HOUR, NOTICE)
    assert await send(mail, 1, HOUR) == Excess(HOUR, 12, is_told=True)
    (entry,) = (await mail.snapshot(ALICE)).entries
    events = await mail.events.find(EventQuery(message_id=entry.message_id))
    assert [event.name for event in events] == [EventName.RECEIVED, EventName.DELIVERED]
    clock.now += HOUR_SECONDS
    assert await send(mail, 1, HOUR) == Excess(HOUR, 13, is_told=False)
    assert await mail.tell_held(ALICE, HOUR, NOTICE)
    assert len((await mail.snapshot(ALICE)).entries) == 2


async def test_each_limit_is_told_apart(mail: Mail) -> None:
    await send(mail, 30)
    assert await mail.tell_held(ALICE, HOUR, NOTICE)
    assert await mail.tell_held(ALICE, DAY, NOTICE)


async def test_nothing_is_told_of_an_account_that_has_sent_nothing(mail: Mail) -> None:
    assert not await mail.tell_held(ALICE, HOUR, NOTICE)


async def test_several_processes_tell_once(mails: tuple[Mail, Mail]) -> None:
    await send(mails[0], 11, HOUR)
    await mails[0].provision(ALICE)
    told = await asyncio.gather(*(mails[number % 2].tell_held(ALICE, HOUR, NOTICE) for number in range(10)))
    assert sum(told) == 1
    assert len((await mails[0].snapshot(ALICE)).entries) == 1


@pytest.mark.parametrize("first", [False, True])
async def test_exactly_the_limit_leaves_whatever_processes_and_connections_send(
    mails: tuple[Mail, Mail], clock: Clock, first: bool
) -> None:
    limits = SendingLimit(HOUR_SECONDS, 120), SendingLimit(DAY_SECONDS, 100)
    before = 0 if first else await _send_one(mails[0], limits)

    async def connection(number: int) -> int:
        left = 0
        for _ in range(4):
            clock.now += 0.001
            left += await _send_one(mails[number % 2], limits)
        return left

    left = await asyncio.gather(*map(connection, range(50)))
    assert before + sum(left) == 100
    assert await states(mails[0]) == {QueueState.QUEUED: 100, QueueState.HELD: 200 + before - 100}


async def _send_one(mail: Mail, limits: tuple[SendingLimit, ...]) -> int:
    return await send(mail, 1, *limits) is None


async def test_a_batch_of_several_accounts_is_counted_by_account(mail: Mail) -> None:
    accounts = [AccountId(number) for number in range(1, 6)]
    receipts: list[Receipt] = await asyncio.gather(
        *(mail.deliver(limited(account, 1, HOUR)) for _ in range(12) for account in accounts)
    )
    assert sum(receipt.excess is None for receipt in receipts) == 50
    for account in accounts:
        counted = await states(mail, QueueFilter(account_id=account))
        assert counted == {QueueState.QUEUED: 10, QueueState.HELD: 2}


STEPS = st.tuples(st.sampled_from([ALICE, BOB]), st.integers(1, 8), st.sampled_from([0.0, 30.0, 149.0, 900.0, -60.0]))


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(STEPS, max_size=25))
async def test_memory_and_sql_hold_the_same(
    sqlite_template: Path, tmp_path: Path, steps: list[tuple[AccountId, int, float]]
) -> None:
    clock, file = Clock(), tmp_path / "twin.db"
    copy(sqlite_template, file)
    try:
        async with opened(f"sqlite:///{file}", clock) as sql:
            memory = MemoryMailStore(clock=clock)
            for account_id, recipients, seconds in steps:
                clock.now += seconds
                delivery = limited(account_id, recipients)
                assert (await sql.deliver(delivery)).excess == (await memory.deliver(delivery)).excess
    finally:
        file.unlink()
