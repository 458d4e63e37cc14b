"""What services do with mail is told in the event log: appended, read for the first time, moved, deleted."""

import pytest

from relate_mailstore import change_events
from relate_mailstore.change_events import Actor
from relate_mailstore.event_types import Event, EventName, EventQuery
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import INBOX, AccountId, Flag, FlagChange, MailboxId, NewMessage, Uid
from tests.contract.outgoing import Clock
from tests.support.factories import delivery, simple

Store = MemoryMailStore | SqlMailStore

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
IMAP = Actor("imap", lambda: f"00-{TRACE_ID}-b7ad6b7169203331-01")
POP3 = Actor("pop3")
READ = FlagChange(add=Flag.SEEN)


async def told(store: Store, name: EventName | None = None) -> list[Event]:
    await store.events.flush()
    return [*await store.events.find(EventQuery(name))]


async def inbox(store: Store, account_id: AccountId) -> MailboxId:
    return (await store.mailbox(account_id)).id


async def test_the_first_read_is_told_once(mail: Store, alice: AccountId, clock: Clock) -> None:
    receipt = await mail.deliver(delivery(alice))
    imap, mailbox = mail.acting(IMAP), await inbox(mail, alice)
    for change in (READ, READ, FlagChange(remove=Flag.SEEN), READ, FlagChange(add=Flag.FLAGGED | Flag.SEEN)):
        await imap.set_flags(alice, mailbox, [Uid(1)], change)
        await mail.events.flush()
    await mail.acting(POP3).set_flags(alice, mailbox, [Uid(1)], FlagChange(remove=Flag.SEEN))
    await mail.acting(POP3).set_flags(alice, mailbox, [Uid(1)], READ)
    (event,) = await told(mail)
    assert event == Event(
        EventName.READ,
        event.time,
        alice,
        receipt.message_id,
        service="imap",
        trace_id=TRACE_ID,
        span_id="b7ad6b7169203331",
    )
    assert event.time == pytest.approx(clock.now, abs=0.001)


async def test_other_changes_of_flags_and_stores_without_a_service_tell_nothing(mail: Store, alice: AccountId) -> None:
    receipt = await mail.deliver(delivery(alice))
    mailbox = await inbox(mail, alice)
    await mail.acting(IMAP).set_flags(alice, mailbox, [Uid(1)], FlagChange(add=Flag.FLAGGED))
    await mail.set_flags(alice, mailbox, [Uid(1)], READ)
    await mail.delete_message(alice, receipt.message_id)
    assert await told(mail) == []


async def test_a_message_that_the_api_marks_is_told_as_read(mail: Store, alice: AccountId) -> None:
    receipt = await mail.deliver(delivery(alice))
    await mail.copy(alice, await inbox(mail, alice), [Uid(1)], "Sent")
    await mail.acting(Actor("api")).flag_message(alice, receipt.message_id, READ)
    assert [(event.name, event.service) for event in await told(mail)] == [(EventName.READ, "api")]


async def test_each_account_reads_its_own_copy(mail: Store, alice: AccountId, bob: AccountId) -> None:
    await mail.deliver(delivery(alice, bob))
    imap = mail.acting(IMAP)
    for account in (alice, bob):
        await imap.set_flags(account, await inbox(mail, account), [Uid(1)], READ)
    assert {event.account_id for event in await told(mail)} == {alice, bob}


async def test_a_move_is_told_with_both_mailboxes(mail: Store, alice: AccountId) -> None:
    receipt = await mail.deliver(delivery(alice))
    await mail.acting(IMAP).move(alice, await inbox(mail, alice), [Uid(1)], "Trash")
    (event,) = await told(mail)
    assert (event.name, event.message_id, event.service, event.trace_id) == (
        EventName.MOVED,
        receipt.message_id,
        "imap",
        TRACE_ID,
    )
    assert event.detail == {"from": INBOX, "to": "Trash", "uid": 1}


async def test_the_removal_of_the_last_entry_is_told(mail: Store, alice: AccountId, bob: AccountId) -> None:
    receipt = await mail.deliver(delivery(alice, bob))
    pop3, mailbox = mail.acting(POP3), await inbox(mail, alice)
    await mail.copy(alice, mailbox, [Uid(1)], "Sent")
    await pop3.expunge(alice, mailbox, [Uid(1)])
    assert await told(mail) == []  # it is in Sent
    await pop3.expunge(alice, (await mail.mailbox(alice, "Sent")).id, [Uid(1)])
    (event,) = await told(mail)
    assert (event.name, event.account_id, event.message_id, event.service) == (
        EventName.DELETED,
        alice,
        receipt.message_id,
        "pop3",
    )
    await mail.acting(Actor("api")).delete_message(bob, receipt.message_id)
    assert [event.account_id for event in await told(mail)] == [alice, bob]


async def test_mailboxes_that_are_deleted_and_renamed_tell_of_their_messages(mail: Store, alice: AccountId) -> None:
    await mail.deliver(delivery(alice))
    imap = mail.acting(IMAP)
    await imap.rename_mailbox(alice, INBOX, "old")
    await imap.delete_mailbox(alice, "old")
    assert [event.name for event in await told(mail)] == [EventName.MOVED, EventName.DELETED]


@pytest.mark.parametrize("count", [1, 2])
async def test_an_appended_message_has_a_beginning(mail: Store, alice: AccountId, count: int) -> None:
    await mail.provision(alice)
    imap = mail.acting(IMAP)
    await imap.append(alice, "Sent", [NewMessage(simple())] * count)
    events = await told(mail)
    assert [event.name for event in events] == [EventName.APPENDED] * count
    assert {event.header_message_id for event in events} == {"simple@example.org"}
    assert [event.detail for event in events] == [{"mailbox": "Sent", "uid": uid} for uid in range(1, count + 1)]
    await imap.append(alice, "Sent", [NewMessage(simple())], replaces=((await mail.mailbox(alice, "Sent")).id, Uid(1)))
    *_, appended, deleted = await told(mail)
    assert {appended.name, deleted.name} == {EventName.APPENDED, EventName.DELETED}
    assert events[0].message_id in {appended.message_id, deleted.message_id}


async def test_a_command_for_many_messages_tells_a_bounded_number(
    mail: Store, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_events, "MAX_TOLD_MESSAGES", 3)
    for _ in range(5):
        await mail.deliver(delivery(alice))
    imap, uids = mail.acting(IMAP), [Uid(uid) for uid in range(1, 6)]
    await imap.set_flags(alice, await inbox(mail, alice), uids, READ)
    await imap.move(alice, await inbox(mail, alice), uids, "Trash")
    await imap.expunge(alice, (await mail.mailbox(alice, "Trash")).id, uids)
    for name in (EventName.READ, EventName.MOVED, EventName.DELETED):
        *events, summary = sorted(await told(mail, name), key=lambda event: event.message_id is None)
        assert len(events) == 3
        assert (summary.message_id, summary.account_id, summary.detail) == (None, alice, {"omitted": 2})
