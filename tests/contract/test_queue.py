"""The queue: written with the delivery, claimed under a lease, settled once, and left when all is told."""

import asyncio
from collections.abc import Sequence

import pytest

from relate_mailstore.errors import MailboxNotFound, MessageNotFound, OverQuota
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.queue_rules import PROBE_PAUSES_SECONDS
from relate_mailstore.queue_types import (
    AttemptResult,
    Claimed,
    Lease,
    Outgoing,
    OutgoingRecipient,
    QueueFilter,
    QueueState,
    RecipientId,
    StsPolicy,
    Suspension,
)
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Delivery, Destination
from tests.contract.outgoing import START_SECONDS, Clock, outgoing, sent
from tests.support.factories import big, delivery, simple

Store = MemoryMailStore | SqlMailStore

ALL = QueueFilter()


async def claim(
    store: Store, limit: int = 100, per_destination: int = 100, busy: dict[str, int] | None = None, runner: str = "one"
) -> Sequence[Claimed]:
    return await store.queue.claim(runner, limit, per_destination, busy or {})


def delivered(claimed: Claimed) -> AttemptResult:
    return AttemptResult(claimed.lease, QueueState.DELIVERED, "250 2.0.0 Ok", "2.0.0")


def failed(claimed: Claimed) -> AttemptResult:
    return AttemptResult(claimed.lease, QueueState.FAILED, "550 5.1.1 No such user", "5.1.1", "0af7")


def deferred(claimed: Claimed, until: float) -> AttemptResult:
    return AttemptResult(claimed.lease, QueueState.QUEUED, "451 4.3.0 Later", "4.3.0", "0af7", until)


async def states(store: Store) -> dict[str, QueueState]:
    return {row.address: row.state for row in (await store.queue.find(ALL, 100)).items}


async def test_a_delivery_may_have_local_and_outgoing_recipients(mail: Store, alice: AccountId, bob: AccountId) -> None:
    receipt = await mail.deliver(sent(alice, "carol@a.example", "dan@b.example", local=(bob,)))
    assert receipt.queued == 2
    assert len(receipt.entered) == 1
    assert (await mail.mailbox(bob)).messages == 1
    claimed = await claim(mail)
    assert {one.message_id for one in claimed} == {receipt.message_id}
    assert [one.address for one in claimed] == ["carol@a.example", "dan@b.example"]


async def test_a_message_for_elsewhere_alone_is_in_no_mailbox(mail: Store, alice: AccountId) -> None:
    receipt = await mail.deliver(sent(alice, "carol@a.example"))
    assert (receipt.entered, receipt.queued) == ((), 1)
    assert not await mail.mailboxes(alice)
    with pytest.raises(MessageNotFound):
        await mail.open(alice, receipt.message_id)
    assert await (await mail.queue.open(receipt.message_id)).read() == simple()


async def test_a_refused_delivery_queues_nothing(mail: Store, alice: AccountId, bob: AccountId) -> None:
    to_nowhere = Delivery(simple(), (Destination(bob, "Nowhere"),), outgoing=outgoing(alice, "carol@a.example"))
    over_quota = Delivery(simple(), (Destination(bob, quota=1),), outgoing=outgoing(alice, "carol@a.example"))
    with pytest.raises(MailboxNotFound):
        await mail.deliver(to_nowhere)
    with pytest.raises(OverQuota):
        await mail.deliver(over_quota)
    assert await mail.queue.next_due() is None
    assert await states(mail) == {}


async def test_a_claim_has_the_envelope_and_the_facts_of_the_message(
    mail: Store, alice: AccountId, clock: Clock
) -> None:
    envelope = Outgoing(
        "ann@example.org",
        (OutgoingRecipient("Carol@a.example", "a.example", "FAILURE,DELAY", "rfc822;Carol@a.example"),),
        alice,
        ret="HDRS",
        envid="QQ314159",
        is_8bit=True,
        is_utf8=True,
        header_message_id="simple@example.org",
    )
    receipt = await mail.deliver(Delivery(simple(), (), origin="00-aa-bb-01", outgoing=envelope))
    (claimed,) = await claim(mail)
    assert claimed == Claimed(
        recipient_id=claimed.recipient_id,
        message_id=receipt.message_id,
        account_id=alice,
        sender="ann@example.org",
        address="Carol@a.example",
        domain="a.example",
        notify="FAILURE,DELAY",
        orcpt="rfc822;Carol@a.example",
        ret="HDRS",
        envid="QQ314159",
        size=len(simple()),
        is_8bit=True,
        is_utf8=True,
        header_message_id="simple@example.org",
        origin="00-aa-bb-01",
        arrived=clock.now,
        attempts=1,
        reply="",
        status="",
        trace="",
        delay_told=False,
    )


async def test_a_message_that_is_due_later_is_not_claimed_before(mail: Store, alice: AccountId, clock: Clock) -> None:
    due = START_SECONDS + 5
    await mail.deliver(Delivery(simple(), (), outgoing=outgoing(alice, "carol@a.example", due=due)))
    assert await mail.queue.next_due() == due
    assert not await claim(mail)
    clock.now = due
    assert len(await claim(mail)) == 1


async def test_a_lease_ends_with_its_runner_whatever_the_clock_says(
    mail: Store, alice: AccountId, clock: Clock
) -> None:
    await mail.deliver(sent(alice, "carol@a.example"))
    (first,) = await claim(mail)
    clock.now += 365 * 86_400
    assert not await claim(mail, runner="two")
    assert await mail.queue.next_due() is None
    assert await mail.queue.end_leases(["two"]) == 0
    assert await mail.queue.end_leases(["one", "two"]) == 1
    (second,) = await claim(mail, runner="two")
    assert (first.attempts, second.attempts) == (1, 2)


async def test_runners_see_each_other_by_their_beats(mail: Store, alice: AccountId) -> None:
    assert await mail.queue.beat("one") == {"one": 1}
    assert await mail.queue.beat("two") == {"one": 1, "two": 1}
    await mail.deliver(sent(alice, "carol@a.example"))
    await claim(mail)  # which is a beat, too
    assert await mail.queue.beat("two") == {"one": 2, "two": 2}
    await mail.queue.end_leases(["one"])
    assert await mail.queue.beat("two") == {"two": 3}


async def test_a_suspended_destination_is_probed_by_one_message_of_one_runner(
    mail: Store, alice: AccountId, clock: Clock
) -> None:
    await mail.queue.suspend("a.example", "connection refused")
    await mail.queue.suspend("a.example", "again")
    for name in ("carol", "dan", "erin"):
        await mail.deliver(sent(alice, f"{name}@a.example", "bob@b.example"))
    claimed = await claim(mail)
    suspended = {one.domain: one.suspended for one in claimed}
    assert suspended == {"a.example": "connection refused", "b.example": ""}
    assert (await mail.queue.statistics()).suspended == 0  # for which nothing waits
    assert await mail.queue.suspensions(10) == []
    next_probe = clock.now + PROBE_PAUSES_SECONDS[0]
    clock.now += PROBE_PAUSES_SECONDS[0]
    results = [deferred(one, clock.now) for one in claimed]
    assert await mail.queue.settle(results) == []
    assert (await mail.queue.statistics()).suspended == 1
    assert await mail.queue.suspensions(10) == [Suspension("a.example", "connection refused", next_probe)]
    assert await mail.queue.suspensions(0) == []
    two = await claim(mail, limit=2, runner="two")
    one = await claim(mail, runner="one")
    probes = [each.address for each in [*one, *two] if each.domain == "a.example" and not each.suspended]
    assert len(probes) == 1
    await mail.queue.settle([deferred(each, clock.now) for each in [*one, *two]])
    clock.now += PROBE_PAUSES_SECONDS[1] - 1
    again = await claim(mail)
    assert all(each.suspended for each in again if each.domain == "a.example")
    await mail.queue.settle([deferred(each, clock.now) for each in again])
    clock.now += 1
    assert [each.suspended for each in await claim(mail) if each.domain == "a.example"].count("") == 1


async def test_a_clock_that_is_set_back_does_not_lengthen_a_suspension(
    mail: Store, alice: AccountId, clock: Clock
) -> None:
    await mail.queue.suspend("a.example", "connection refused")
    clock.now -= 86_400
    await mail.deliver(sent(alice, "carol@a.example"))
    (probe,) = await claim(mail)
    assert not probe.suspended


async def test_mail_that_waited_for_a_destination_is_due_when_it_resumes(
    mail: Store, alice: AccountId, clock: Clock
) -> None:
    await mail.deliver(sent(alice, "carol@a.example", "dan@a.example", "erin@b.example"))
    carol, dan, erin = await claim(mail)
    await mail.queue.suspend("a.example", "connection refused")
    later = clock.now + 3600
    unreached = [AttemptResult(one.lease, QueueState.QUEUED, "no", "4.4.1", "", later) for one in (carol, erin)]
    await mail.queue.settle([*unreached, deferred(dan, later)])
    await mail.queue.resume("b.example")  # which is not suspended
    assert await mail.queue.next_due() == later
    await mail.queue.resume("a.example")
    (claimed,) = await claim(mail)
    assert (claimed.address, claimed.suspended) == ("carol@a.example", "")


async def test_an_operator_who_retries_has_the_destination_probed_at_once(
    mail: Store, alice: AccountId, clock: Clock
) -> None:
    await mail.deliver(sent(alice, "carol@a.example"))
    (claimed,) = await claim(mail)
    await mail.queue.suspend("a.example", "connection refused")
    await mail.queue.settle([deferred(claimed, clock.now + 3600)])
    assert await mail.queue.retry(ALL) == 1
    (probe,) = await claim(mail)
    assert not probe.suspended


async def test_the_result_of_a_lost_lease_changes_nothing(
    mail: Store, alice: AccountId, bob: AccountId, clock: Clock
) -> None:
    await mail.deliver(sent(alice, "carol@a.example", "dan@a.example"))
    first = await claim(mail)
    await mail.queue.end_leases(["one"])
    (again,) = await claim(mail, limit=1, runner="two")
    report = delivery(bob)
    assert await mail.queue.settle([failed(one) for one in first], [report]) == [one.lease for one in first]
    assert set((await states(mail)).values()) == {QueueState.LEASED, QueueState.QUEUED}
    assert not await mail.mailboxes(bob)
    assert await mail.queue.settle([delivered(again)]) == []


async def test_a_repeated_result_changes_nothing(mail: Store, alice: AccountId, clock: Clock) -> None:
    await mail.deliver(sent(alice, "carol@a.example", "dan@a.example"))
    carol, dan = await claim(mail)
    until = clock.now + 300
    assert await mail.queue.settle([delivered(carol), deferred(dan, until)]) == []
    assert await mail.queue.settle([failed(carol), deferred(dan, until + 1)]) == [carol.lease, dan.lease]
    assert await states(mail) == {"carol@a.example": QueueState.DELIVERED, "dan@a.example": QueueState.QUEUED}
    assert await mail.queue.next_due() == until


async def test_of_two_results_for_a_recipient_the_last_is_stored(mail: Store, alice: AccountId, clock: Clock) -> None:
    await mail.deliver(sent(alice, "carol@a.example", "dan@a.example"))
    carol, dan = await claim(mail)
    assert await mail.queue.settle([failed(carol), delivered(carol)]) == []
    assert await states(mail) == {"carol@a.example": QueueState.DELIVERED, "dan@a.example": QueueState.LEASED}
    assert await mail.queue.settle([delivered(dan)]) == []
    assert await states(mail) == {}


async def test_a_result_of_an_unknown_recipient_is_reported_back(mail: Store) -> None:
    lease = Lease(RecipientId(77), 1)
    assert await mail.queue.settle([AttemptResult(lease, QueueState.FAILED)]) == [lease]


async def test_the_next_claim_has_the_last_reply(mail: Store, alice: AccountId, clock: Clock) -> None:
    await mail.deliver(sent(alice, "carol@a.example"))
    (first,) = await claim(mail)
    result = AttemptResult(first.lease, QueueState.QUEUED, "451 4\udc80\0", "4.3.0", "0af7", clock.now, delay_told=True)
    await mail.queue.settle([result])
    (second,) = await claim(mail)
    assert (second.status, second.trace, second.delay_told) == ("4.3.0", "0af7", True)
    assert second.reply.startswith("451 4")
    await mail.queue.settle([deferred(second, clock.now)])
    assert [one.delay_told for one in await claim(mail)] == [True]


async def test_a_report_is_stored_with_the_result(mail: Store, alice: AccountId, bob: AccountId) -> None:
    await mail.deliver(sent(alice, "carol@a.example"))
    (claimed,) = await claim(mail)
    assert await mail.queue.settle([failed(claimed)], [delivery(bob, raw=simple("Undelivered"))]) == []
    (summary,) = await mail.summaries(await mail.snapshot(bob))
    assert summary.subject == "undelivered"
    assert await mail.queue.next_due() is None


async def test_a_report_that_cannot_be_stored_keeps_the_lease(mail: Store, alice: AccountId, bob: AccountId) -> None:
    await mail.deliver(sent(alice, "carol@a.example"))
    (claimed,) = await claim(mail)
    with pytest.raises(MailboxNotFound):
        await mail.queue.settle([failed(claimed)], [delivery(Destination(bob, "Nowhere"))])
    with pytest.raises(OverQuota):
        await mail.queue.settle([failed(claimed)], [delivery(Destination(bob, quota=1))])
    assert await states(mail) == {"carol@a.example": QueueState.LEASED}
    assert await mail.queue.settle([failed(claimed)]) == []


async def test_a_message_leaves_the_queue_with_its_last_recipient(mail: Store, alice: AccountId) -> None:
    receipt = await mail.deliver(sent(alice, "carol@a.example", "dan@a.example"))
    carol, dan = await claim(mail)
    await mail.queue.settle([delivered(carol)])
    assert (await mail.queue.statistics()).counts == {QueueState.DELIVERED: 1, QueueState.LEASED: 1}
    assert (await mail.queue.open(receipt.message_id)).size == len(simple())
    await mail.queue.settle([failed(dan)])
    assert (await mail.queue.statistics()).counts == {}
    with pytest.raises(MessageNotFound):
        await mail.queue.open(receipt.message_id)


async def test_last_recipients_that_are_settled_at_once_remove_the_message(mail: Store, alice: AccountId) -> None:
    for _ in range(5):
        receipt = await mail.deliver(sent(alice, *(f"{number}@{number}.example" for number in range(8))))
        claimed = await claim(mail)
        await asyncio.gather(*(mail.queue.settle([delivered(one)]) for one in claimed))
        with pytest.raises(MessageNotFound):
            await mail.queue.open(receipt.message_id)


async def test_a_destination_with_many_recipients_does_not_hide_others(mail: Store, alice: AccountId) -> None:
    await mail.deliver(sent(alice, *(f"{number}@big.example" for number in range(1_000))))
    await mail.deliver(sent(alice, "carol@small.example", "dan@another.example"))
    claimed = await claim(mail, limit=50, per_destination=20)
    by_domain = [one.domain for one in claimed]
    assert {domain: by_domain.count(domain) for domain in by_domain} == {
        "big.example": 20,
        "small.example": 1,
        "another.example": 1,
    }


async def test_busy_destinations_are_claimed_up_to_their_number(mail: Store, alice: AccountId) -> None:
    await mail.deliver(sent(alice, *(f"{number}@{domain}.example" for number in range(10) for domain in "abc")))
    claimed = await claim(mail, per_destination=4, busy={"a.example": 4, "b.example": 1, 'quo"te': 3})
    by_domain = [one.domain for one in claimed]
    assert {domain: by_domain.count(domain) for domain in by_domain} == {"b.example": 3, "c.example": 4}
    assert not await claim(mail, per_destination=1, busy={f"{domain}.example": 1 for domain in "abc"})


async def test_what_has_waited_longest_is_claimed_first(mail: Store, alice: AccountId, clock: Clock) -> None:
    for domain in ("z", "m", "a"):
        await mail.deliver(sent(alice, f"1@{domain}.example", f"2@{domain}.example"))
        clock.now += 1
    assert [one.domain for one in await claim(mail, limit=3, per_destination=1)] == [
        "z.example",
        "m.example",
        "a.example",
    ]
    assert [one.domain for one in await claim(mail, limit=1)] == ["z.example"]


async def test_the_next_time_may_leave_destinations_out(mail: Store, alice: AccountId) -> None:
    for number, domain in enumerate(("a", "b", "c")):
        envelope = outgoing(alice, f"1@{domain}.example", due=START_SECONDS + number)
        await mail.deliver(Delivery(simple(), (), outgoing=envelope))
    assert await mail.queue.next_due() == START_SECONDS
    assert await mail.queue.next_due(["a.example"]) == START_SECONDS + 1
    assert await mail.queue.next_due([f"{domain}.example" for domain in "abc"]) is None


async def test_concurrent_runners_claim_each_recipient_once(
    mails: tuple[Store, Store], alice: AccountId, clock: Clock
) -> None:
    one, other = mails
    await one.deliver(sent(alice, *(f"{number}@{number % 7}.example" for number in range(300))))
    claims = await asyncio.gather(
        *(claim(store, limit=20, runner=f"{number}") for number in range(8) for store in mails)
    )
    ids = [each.recipient_id for claimed in claims for each in claimed]
    while claimed := await claim(other, limit=50):
        ids += [each.recipient_id for each in claimed]
    assert len(ids) == len(set(ids)) == 300


async def test_held_mail_waits_for_an_operator(mail: Store, alice: AccountId) -> None:
    await mail.deliver(Delivery(simple(), (), outgoing=outgoing(alice, "carol@a.example", is_held=True)))
    assert await mail.queue.next_due() is None
    assert await states(mail) == {"carol@a.example": QueueState.HELD}
    assert await mail.queue.release(ALL) == 1
    assert len(await claim(mail)) == 1


async def test_operators_change_what_matches(mail: Store, alice: AccountId, bob: AccountId, clock: Clock) -> None:
    first = await mail.deliver(sent(alice, "carol@a.example", "dan@b.example"))
    clock.now += 10
    await mail.deliver(sent(bob, "erin@a.example"))
    (carol,) = (await mail.queue.find(QueueFilter(domain="a.example", account_id=alice), 10)).items
    assert carol.address == "carol@a.example"
    for query, count in (
        (QueueFilter(recipient_id=carol.recipient_id), 1),
        (QueueFilter(message_id=first.message_id), 1),
        (QueueFilter(account_id=bob), 1),
        (ALL, 0),
    ):
        assert await mail.queue.hold(query) == count
    assert set((await states(mail)).values()) == {QueueState.HELD}
    assert await mail.queue.release(QueueFilter(older_than=clock.now)) == 2
    assert await mail.queue.release(QueueFilter(older_than=clock.now)) == 0
    assert await mail.queue.drop(QueueFilter(state=QueueState.HELD)) == 1
    assert await mail.queue.drop(QueueFilter(state=QueueState.HELD)) == 0
    assert set(await states(mail)) == {"carol@a.example", "dan@b.example"}


async def test_a_deferred_recipient_is_retried_at_once(mail: Store, alice: AccountId, clock: Clock) -> None:
    await mail.deliver(sent(alice, "carol@a.example"))
    (claimed,) = await claim(mail)
    await mail.queue.settle([deferred(claimed, clock.now + 300)])
    assert await mail.queue.retry(ALL) == 1
    assert await mail.queue.retry(ALL) == 0
    assert len(await claim(mail)) == 1


@pytest.mark.parametrize(
    ("operation", "state"), [("hold", QueueState.HELD), ("drop", QueueState.CANCELLED)], ids=["hold", "drop"]
)
async def test_a_request_for_a_leased_recipient_takes_effect_when_the_attempt_ends(
    mail: Store, alice: AccountId, clock: Clock, operation: str, state: QueueState
) -> None:
    operate = getattr(mail.queue, operation)
    await mail.deliver(sent(alice, "carol@a.example", "dan@a.example", "erin@a.example"))
    carol, dan, erin = await claim(mail)
    assert await operate(ALL) == 3
    assert await operate(ALL) == 0
    rows = (await mail.queue.find(ALL, 10)).items
    assert {(row.state, row.requested) for row in rows} == {(QueueState.LEASED, state)}
    assert await mail.queue.settle([delivered(carol), deferred(dan, clock.now + 300)]) == []
    now = await states(mail)
    assert (now["carol@a.example"], now["dan@a.example"]) == (QueueState.DELIVERED, state)
    assert await mail.queue.end_leases(["one"]) == 1
    assert not await claim(mail)
    assert await mail.queue.settle([delivered(erin)]) == [erin.lease]
    assert (await states(mail)).get("erin@a.example", QueueState.CANCELLED) is state
    assert await mail.queue.next_due() is None


async def test_a_request_to_hold_is_taken_back(mail: Store, alice: AccountId, clock: Clock) -> None:
    await mail.deliver(sent(alice, "carol@a.example"))
    (claimed,) = await claim(mail)
    assert await mail.queue.hold(ALL) == 1
    assert await mail.queue.release(ALL) == 1
    await mail.queue.settle([deferred(claimed, clock.now)])
    assert len(await claim(mail)) == 1


async def test_operators_and_runners_work_at_once(mails: tuple[Store, Store], alice: AccountId) -> None:
    one, other = mails
    for _ in range(10):
        await one.deliver(sent(alice, *(f"{number}@{number % 3}.example" for number in range(30))))

    async def run() -> None:
        while claimed := await claim(one, limit=10):
            assert await one.queue.settle([delivered(each) for each in claimed]) == []

    async def operate() -> None:
        for _ in range(5):
            await other.queue.hold(QueueFilter(domain="1.example"))
            await other.queue.release(ALL)

    await asyncio.gather(run(), operate())
    await run()
    assert await states(one) == {}


async def test_the_list_has_pages(mail: Store, alice: AccountId) -> None:
    await mail.deliver(sent(alice, *(f"{number}@a.example" for number in range(5))))
    first = await mail.queue.find(ALL, 3)
    second = await mail.queue.find(ALL, 3, first.next_cursor)
    assert [row.address for row in first.items + second.items] == [f"{number}@a.example" for number in range(5)]
    assert second.next_cursor is None
    assert {row.size for row in first.items} == {len(simple())}


async def test_statistics_count_by_state_and_name_the_oldest(mail: Store, alice: AccountId, clock: Clock) -> None:
    assert (await mail.queue.statistics()).oldest_arrived is None
    await mail.deliver(Delivery(simple(), (), outgoing=outgoing(alice, "dan@a.example", is_held=True)))
    assert (await mail.queue.statistics()).oldest_arrived is None
    clock.now += 9
    await mail.deliver(sent(alice, "carol@a.example"))
    statistics = await mail.queue.statistics()
    assert statistics.counts == {QueueState.QUEUED: 1, QueueState.HELD: 1}
    assert statistics.oldest_arrived == START_SECONDS + 9


async def test_a_new_message_wakes_a_runner(mails: tuple[Store, Store], alice: AccountId) -> None:
    one, other = mails
    async with one.queue.changes() as changes, other.queue.changes() as others:
        waiting = [asyncio.ensure_future(anext(each)) for each in (changes, others)]
        await one.deliver(sent(alice, "carol@a.example"))
        await asyncio.gather(*waiting)


async def test_an_operator_wakes_a_runner(mails: tuple[Store, Store], alice: AccountId) -> None:
    one, other = mails
    await one.deliver(Delivery(simple(), (), outgoing=outgoing(alice, "carol@a.example", is_held=True)))
    async with one.queue.changes() as changes:
        waiting = asyncio.ensure_future(anext(changes))
        await other.queue.release(ALL)
        await waiting
        assert len(await claim(one)) == 1


async def test_a_large_message_is_read_in_chunks(mail: Store, alice: AccountId) -> None:
    raw = big(1_200_000)
    receipt = await mail.deliver(sent(alice, "carol@a.example", raw=raw))
    opened = await mail.queue.open(receipt.message_id)
    assert (opened.size, opened.buffered) == (len(raw), None)
    assert b"".join([chunk async for chunk in opened.chunks()]) == raw


async def test_policies_of_other_domains_are_kept_until_they_expire(mail: Store, clock: Clock) -> None:
    def policy(domain: str, fetched: float, text: str = "x") -> StsPolicy:
        return StsPolicy(domain, "1", clock.now + fetched, clock.now + fetched + 60, text)

    for each in (policy("a.example", 0), policy("b.example", 1), policy("c.example", 2), policy("a.example", 3, "new")):
        await mail.queue.store_sts_policy(each)
    found = await mail.queue.sts_policies(10)
    assert [(each.domain, each.text) for each in found] == [
        ("b.example", "x"),
        ("c.example", "x"),
        ("a.example", "new"),
    ]
    assert [each.domain for each in await mail.queue.sts_policies(2)] == ["c.example", "a.example"]
    clock.now += 62
    assert [each.domain for each in await mail.queue.sts_policies(10)] == ["a.example"]


@pytest.mark.parametrize("days", [30, -30], ids=["set back", "set ahead"])
async def test_a_step_of_the_clock_loses_nothing(mail: Store, alice: AccountId, clock: Clock, days: int) -> None:
    await mail.deliver(sent(alice, "carol@a.example", "dan@a.example"))
    (carol,) = await claim(mail, limit=1)
    await mail.queue.settle([deferred(carol, clock.now + 300)])
    await claim(mail, limit=1)
    clock.now -= days * 24 * 3600
    (again,) = [one for _ in range(2) for one in await claim(mail, limit=1)]
    assert again.address == "carol@a.example"  # the lease of the other is its runner's, whatever the clock says


def test_a_result_has_a_next_attempt_if_and_only_if_it_is_deferred() -> None:
    lease = Lease(RecipientId(1), 1)
    for state, next_attempt in (
        (QueueState.QUEUED, None),
        (QueueState.DELIVERED, 5.0),
        (QueueState.LEASED, None),
    ):
        with pytest.raises(ValueError, match=r"attempt|lease"):
            AttemptResult(lease, state, next_attempt=next_attempt)
