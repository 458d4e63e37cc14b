"""Filters act on what is delivered to the INBOX, in the order of their priority; a broken one loses no mail."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest

from relate_mailstore.errors import FilterNotFound, LabelNotFound, OverQuota, TooManyFilters
from relate_mailstore.event_types import Event, EventName, EventQuery
from relate_mailstore.filter_rules import MAX_FILTERS
from relate_mailstore.filter_types import Actions, Conditions, Filter, FilterId, FilterRule, LabelId, LabelStyle, Trial
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.queue_types import AttemptResult, QueueState
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Delivery, Destination, Entry, Flag, MessageId, NewMessage, Receipt
from tests.contract.outgoing import Clock, sent
from tests.support.factories import delivery, multipart, simple

Store = MemoryMailStore | SqlMailStore

NOWHERE = FilterId(UUID(int=7))
LARGE = simple("Large", body="word " * 20_000 + "needle\r\n")


async def add(
    mail: Store,
    account: AccountId,
    conditions: Conditions = Conditions(),  # noqa: B008 - frozen
    *,
    priority: int = 100,
    enabled: bool = True,
    **actions: object,
) -> Filter:
    rule = FilterRule("a filter", conditions, Actions(**actions), priority, enabled)  # type: ignore[arg-type]
    return await mail.filters.add(account, rule)


async def entries(mail: Store, account: AccountId, mailbox: str = "INBOX") -> list[Entry]:
    return [*(await mail.snapshot(account, mailbox)).entries]


async def label(mail: Store, account: AccountId, name: str = "work") -> LabelId:
    return (await mail.labels.add(account, LabelStyle(name, "#112233"))).id


async def filtered(mail: Store, receipt: Receipt) -> list[dict[str, object]]:
    """The details of the events that tell of filters, without the mailbox's UID."""
    events = await mail.events.find(EventQuery(message_id=receipt.message_id))
    return [{**event.detail} for event in events if event.name is EventName.FILTERED]


async def test_a_filter_marks_as_read_and_labels(mail: Store, alice: AccountId) -> None:
    work = await label(mail, alice)
    one = await add(mail, alice, Conditions(subject="HELLO"), mark_read=True, label_id=work)
    receipt = await mail.deliver(delivery(alice))
    await mail.deliver(delivery(alice, raw=simple("Other")))
    first, second = await entries(mail, alice)
    assert (first.flags, first.keywords) == (Flag.SEEN, ("work",))
    assert (second.flags, second.keywords) == (0, ())
    assert await filtered(mail, receipt) == [{"filter": str(one.id), "read": True, "label": "work"}]


async def test_a_filter_moves_to_a_mailbox(mail: Store, alice: AccountId) -> None:
    await mail.create_mailbox(alice, "Lists")
    one = await add(mail, alice, mailbox="Lists")
    receipt = await mail.deliver(delivery(alice))
    (entry,) = await entries(mail, alice, "Lists")
    mailbox = await mail.mailbox(alice, "Lists")
    assert receipt.entered == ((mailbox.uid_validity, entry.uid),)
    assert (mailbox.messages, mailbox.octets) == (1, len(simple()))
    assert await entries(mail, alice) == []
    assert await filtered(mail, receipt) == [{"filter": str(one.id), "mailbox": "Lists"}]


async def test_a_filter_that_deletes_enters_in_the_trash(mail: Store, alice: AccountId) -> None:
    await mail.provision(alice)
    await mail.rename_mailbox(alice, "Trash", "Bin")
    await add(mail, alice, delete=True)
    await mail.deliver(delivery(alice))
    assert len(await entries(mail, alice, "Bin")) == 1
    assert await entries(mail, alice) == []


async def test_the_event_of_the_delivery_names_the_mailbox_that_a_filter_chose(mail: Store, alice: AccountId) -> None:
    await add(mail, alice, mailbox="Archive")
    told = (
        Event(EventName.RECEIVED, sender="eve@a.example"),
        Event(EventName.DELIVERED, account_id=alice, sender="eve@a.example", recipient="alice@b.example"),
    )
    receipt = await mail.deliver(replace(delivery(alice, origin=f"00-{'1' * 32}-{'2' * 16}-01"), events=told))
    events = await mail.events.find(EventQuery(message_id=receipt.message_id))
    assert [event.name for event in events] == [EventName.RECEIVED, EventName.FILTERED, EventName.DELIVERED]
    assert (events[1].account_id, events[1].recipient, events[1].trace_id) == (alice, "alice@b.example", "1" * 32)
    assert events[2].detail["mailbox"] == "Archive"


async def test_filters_act_in_the_order_of_priority_and_the_first_mailbox_counts(mail: Store, alice: AccountId) -> None:
    later = await add(mail, alice, priority=20, mailbox="Junk", mark_read=True)
    first = await add(mail, alice, priority=10, mailbox="Archive")
    receipt = await mail.deliver(delivery(alice))
    (entry,) = await entries(mail, alice, "Archive")
    assert entry.flags == Flag.SEEN
    assert await filtered(mail, receipt) == [
        {"filter": str(first.id), "mailbox": "Archive"},
        {"filter": str(later.id), "read": True},
    ]


async def test_no_filter_acts_after_one_that_stops(mail: Store, alice: AccountId) -> None:
    await add(mail, alice, priority=1, stop=True)
    await add(mail, alice, priority=2, delete=True)
    await mail.deliver(delivery(alice))
    assert len(await entries(mail, alice)) == 1


async def test_a_disabled_filter_does_nothing(mail: Store, alice: AccountId) -> None:
    await add(mail, alice, enabled=False, mark_read=True)
    receipt = await mail.deliver(delivery(alice))
    assert (await entries(mail, alice))[0].flags == 0
    assert await filtered(mail, receipt) == []


async def test_each_recipient_has_own_filters(mail: Store, alice: AccountId, bob: AccountId) -> None:
    await add(mail, alice, mailbox="Archive")
    await add(mail, bob, Conditions(subject="hello"), mark_read=True)
    receipt = await mail.deliver(delivery(alice, bob))
    assert len(receipt.entered) == 2
    assert [entry.flags for entry in await entries(mail, alice, "Archive")] == [0]
    assert [entry.flags for entry in await entries(mail, bob)] == [Flag.SEEN]
    assert {entry.message_id for entry in await entries(mail, bob)} == {receipt.message_id}


@pytest.mark.parametrize(
    ("conditions", "matching"),
    [
        (Conditions(from_address="ANN@"), {"simple", "multipart", "large"}),
        (Conditions(from_address="Ann Example"), set()),
        (Conditions(to_address="joerg@example"), {"multipart"}),
        (Conditions(to_address="bob@example.net"), {"simple", "multipart", "large"}),
        (Conditions(subject="rEPORT"), {"multipart"}),
        (Conditions(body="short text"), {"simple"}),
        (Conditions(body="GRÜSSE from ann"), {"multipart"}),
        (Conditions(body="needle"), {"large"}),
        (Conditions(subject="report", body="needle"), set()),
        (Conditions(has_attachments=True), {"multipart"}),
        (Conditions(has_attachments=False, larger=1_000), {"large"}),
        (Conditions(larger=len(LARGE)), set()),
        (Conditions(), {"simple", "multipart", "large"}),
    ],
)
async def test_a_filter_acts_on_the_messages_that_its_test_finds(
    mail: Store, alice: AccountId, conditions: Conditions, matching: set[str]
) -> None:
    one = await add(mail, alice, conditions, mark_read=True)
    delivered: dict[MessageId, str] = {}
    for name, raw in {"simple": simple(), "multipart": multipart(), "large": LARGE}.items():
        delivered[(await mail.deliver(delivery(alice, raw=raw))).message_id] = name
    read = {delivered[entry.message_id] for entry in await entries(mail, alice) if entry.flags & Flag.SEEN}
    tested = (await mail.filters.test(alice, conditions, 100)).found
    assert read == {delivered[message_id] for message_id in tested} == matching
    assert [*tested] == sorted(tested, reverse=True)
    assert (await mail.filters.find(alice, one.id)).times_applied == len(matching)


async def test_a_test_looks_at_the_newest_messages_of_all_mailboxes(mail: Store, alice: AccountId) -> None:
    conditions = Conditions(subject="hello")
    old, other, new = [
        (await mail.deliver(delivery(Destination(alice, mailbox), raw=raw, internal_date=date))).message_id
        for date, (mailbox, raw) in enumerate(
            [("INBOX", simple()), ("INBOX", simple("Other")), ("Archive", simple())], start=1
        )
    ]
    assert await mail.filters.test(alice, conditions, 2) == Trial(2, (new,))
    assert await mail.filters.test(alice, conditions, 100) == Trial(3, (new, old))
    assert other not in (await mail.filters.test(alice, conditions, 100)).found


async def test_a_test_finds_no_mail_of_another_account(mail: Store, alice: AccountId, bob: AccountId) -> None:
    await mail.deliver(delivery(alice))
    assert await mail.filters.test(bob, Conditions(), 100) == Trial(0, ())


async def test_a_filter_is_moved_among_others_of_any_priority(mail: Store, alice: AccountId, bob: AccountId) -> None:
    first, second, third, fourth = [(await add(mail, alice, priority=each)).id for each in (7, 7, 7, 900)]

    async def order() -> list[FilterId]:
        return [each.id for each in await mail.filters.all(alice)]

    await mail.filters.move(alice, third, -1)
    assert await order() == [first, third, second, fourth]
    await mail.filters.move(alice, first, 2)
    assert await order() == [third, second, first, fourth]
    await mail.filters.move(alice, third, -1)  # it is the first
    await mail.filters.move(alice, fourth, 5)  # it is the last
    assert await order() == [third, second, first, fourth]
    for account_id, filter_id in ((bob, first), (alice, NOWHERE)):
        with pytest.raises(FilterNotFound):
            await mail.filters.move(account_id, filter_id, 1)
    assert await order() == [third, second, first, fourth]


async def test_a_filter_whose_label_is_gone_is_moved_too(mail: Store, alice: AccountId) -> None:
    work = await label(mail, alice)
    first, second = await add(mail, alice, label_id=work), await add(mail, alice)
    await mail.labels.remove(alice, work)
    await mail.filters.move(alice, first.id, 1)
    assert [each.id for each in await mail.filters.all(alice)] == [second.id, first.id]


async def test_a_larger_message_and_a_new_account_are_filtered_by_their_text(mail: Store, alice: AccountId) -> None:
    """Two obstacles at once: the account has no mailboxes yet, and the text is not known."""
    await add(mail, alice, Conditions(body="needle"), mark_read=True)
    await mail.deliver(delivery(alice, raw=LARGE))
    assert [entry.flags for entry in await entries(mail, alice)] == [Flag.SEEN]


async def test_a_filter_without_its_mailbox_loses_no_mail(mail: Store, alice: AccountId) -> None:
    await mail.create_mailbox(alice, "Gone")
    broken = await add(mail, alice, priority=1, mailbox="Gone", mark_read=True, stop=True)
    await add(mail, alice, priority=2, mailbox="Archive")
    await mail.delete_mailbox(alice, "Gone")
    receipt = await mail.deliver(delivery(alice))
    assert [entry.flags for entry in await entries(mail, alice, "Archive")] == [0]
    told, _ = await filtered(mail, receipt)
    assert told == {"filter": str(broken.id), "problem": "mailbox not found"}
    assert (await mail.filters.find(alice, broken.id)).times_applied == 0


async def test_a_filter_without_its_label_loses_no_mail(mail: Store, alice: AccountId) -> None:
    work = await label(mail, alice)
    broken = await add(mail, alice, label_id=work, mailbox="Junk")
    await mail.labels.remove(alice, work)
    receipt = await mail.deliver(delivery(alice))
    assert [entry.keywords for entry in await entries(mail, alice)] == [()]
    assert await filtered(mail, receipt) == [{"filter": str(broken.id), "problem": "label not found"}]


async def test_a_filter_without_a_trash_loses_no_mail(mail: Store, alice: AccountId) -> None:
    await mail.provision(alice)
    await mail.delete_mailbox(alice, "Trash")
    broken = await add(mail, alice, delete=True)
    receipt = await mail.deliver(delivery(alice))
    assert len(await entries(mail, alice)) == 1
    assert await filtered(mail, receipt) == [{"filter": str(broken.id), "problem": "mailbox not found"}]


async def test_an_evaluation_that_fails_loses_no_mail(
    mail: Store, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bool:
        raise RuntimeError("a defect")

    broken = await add(mail, alice, delete=True)
    monkeypatch.setattr("relate_mailstore.filter_rules.meets_header", fail)
    receipt = await mail.deliver(delivery(alice))
    assert len(await entries(mail, alice)) == 1
    assert await filtered(mail, receipt) == [{"filter": str(broken.id), "problem": "evaluation failed: RuntimeError"}]


async def test_what_the_owner_stores_is_not_filtered(mail: Store, alice: AccountId) -> None:
    await mail.provision(alice)
    await add(mail, alice, delete=True)
    await mail.append(alice, "INBOX", [NewMessage(simple())])
    await mail.append(alice, "INBOX", [NewMessage(simple()), NewMessage(simple())])
    await mail.deliver(Delivery(simple(), (Destination(alice),), is_filtered=False))
    await mail.deliver(delivery(Destination(alice, "Sent", Flag.SEEN)))
    assert (len(await entries(mail, alice)), len(await entries(mail, alice, "Sent"))) == (4, 1)


async def test_a_report_is_filtered(mail: Store, alice: AccountId, bob: AccountId) -> None:
    await add(mail, bob, Conditions(body="needle"), mailbox="Archive")
    await mail.deliver(sent(alice, "eve@a.example"))
    (claimed,) = await mail.queue.claim("one", 1, 1, {})
    results = [AttemptResult(claimed.lease, QueueState.FAILED, "550 no", "5.0.0")]
    assert await mail.queue.settle(results, [delivery(bob, raw=LARGE)]) == []
    assert len(await entries(mail, bob, "Archive")) == 1


async def test_a_refused_delivery_applies_no_filter(mail: Store, alice: AccountId, clock: Clock) -> None:
    one = await add(mail, alice, mailbox="Archive")
    fitting = delivery(Destination(alice, quota=len(simple())))
    await mail.deliver(fitting)
    clock.now += 5
    with pytest.raises(OverQuota):
        await mail.deliver(fitting)
    found = await mail.filters.find(alice, one.id)
    assert (found.times_applied, found.last_applied) == (1, clock.now - 5)
    assert len(await entries(mail, alice, "Archive")) == 1


async def test_concurrent_deliveries_are_all_filtered_and_counted(mails: tuple[Store, Store]) -> None:
    one, other = mails
    accounts = [AccountId(number) for number in range(1, 6)]
    for account in accounts:
        await one.provision(account)
        await add(one, account, Conditions(subject="odd"), mailbox="Archive")
        await add(one, account, Conditions(body="needle"), mark_read=True)
    deliveries = [
        store.deliver(delivery(*ordered, raw=LARGE if number % 5 == 0 else simple("Odd" if number % 2 else "Even")))
        for number in range(40)
        for store, ordered in ((one, accounts), (other, accounts[::-1]))
    ]
    await asyncio.gather(*deliveries)
    for account in accounts:
        archived, inbox = await entries(other, account, "Archive"), await entries(other, account)
        assert (len(archived), len(inbox)) == (32, 48)
        assert sum(entry.flags & Flag.SEEN for entry in inbox) == 16
        assert [each.times_applied for each in await one.filters.all(account)] == [32, 16]


async def test_a_filter_may_be_removed_during_deliveries(mails: tuple[Store, Store], alice: AccountId) -> None:
    one, other = mails
    await one.provision(alice)
    removed = await add(one, alice, mailbox="Archive")
    deliveries = [asyncio.create_task(one.deliver(delivery(alice))) for _ in range(50)]
    await other.filters.remove(alice, removed.id)
    await asyncio.gather(*deliveries)
    await one.deliver(delivery(alice))
    archived, inbox = await entries(one, alice, "Archive"), await entries(one, alice)
    assert len(archived) + len(inbox) == 51
    assert inbox


async def test_filters_are_changed_and_removed(mail: Store, alice: AccountId, bob: AccountId) -> None:
    work = await label(mail, alice)
    rule = FilterRule(
        "Über",
        Conditions("a", "b", "c", "d", has_attachments=False, larger=2**33),
        Actions(mark_read=True, label_id=work, mailbox="inbox", delete=True, stop=True),
        priority=5,
        is_enabled=False,
    )
    one = await add(mail, alice)
    await mail.deliver(delivery(alice))
    changed = await mail.filters.change(alice, one.id, rule)
    assert changed.rule == replace(rule, actions=replace(rule.actions, mailbox="INBOX"))
    assert (changed.id, changed.times_applied) == (one.id, 1)
    second = await add(mail, alice, priority=1)
    assert [each.id for each in await mail.filters.all(alice)] == [second.id, one.id]
    assert await mail.filters.all(bob) == []
    for call in (mail.filters.find(bob, one.id), mail.filters.remove(bob, one.id)):
        with pytest.raises(FilterNotFound):
            await call
    with pytest.raises(FilterNotFound):
        await mail.filters.change(alice, NOWHERE, FilterRule("x"))
    await mail.filters.remove(alice, one.id)
    await mail.filters.erase(alice)
    assert await mail.filters.all(alice) == []


async def test_a_filter_assigns_no_label_of_another_account(mail: Store, alice: AccountId, bob: AccountId) -> None:
    work = await label(mail, bob)
    one = await add(mail, alice)
    with pytest.raises(LabelNotFound):
        await add(mail, alice, label_id=work)
    with pytest.raises(LabelNotFound):
        await mail.filters.change(alice, one.id, FilterRule("x", actions=Actions(label_id=work)))


async def test_an_account_has_a_limited_number_of_filters(mail: Store, alice: AccountId, bob: AccountId) -> None:
    results = await asyncio.gather(*(add(mail, alice) for _ in range(MAX_FILTERS + 5)), return_exceptions=True)
    assert sum(isinstance(result, TooManyFilters) for result in results) == 5
    assert len(await mail.filters.all(alice)) == MAX_FILTERS
    await add(mail, bob)
