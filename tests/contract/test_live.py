"""`LiveStore`: what a client that follows an account is told, in pages, without a gap."""

import asyncio

import pytest

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.identifiers import NO_MODSEQ
from relate_mailstore.live_types import END_UID, NO_MAILBOX, ChangeSpan
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.ports import MailStore
from relate_mailstore.queue_types import AttemptResult, QueueState
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Flag, FlagChange, MailboxId, ModSeq, Uid
from tests.contract.outgoing import Clock, sent
from tests.support.factories import delivery

Store = MemoryMailStore | SqlMailStore
SECONDS = 10.0
TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


async def fill(store: MailStore, account: AccountId, messages: int) -> MailboxId:
    for _ in range(messages):
        await store.deliver(delivery(account))
    return (await store.mailbox(account)).id


async def span_until_now(store: MailStore, account: AccountId, since: ModSeq, uid: Uid = END_UID) -> ChangeSpan:
    return ChangeSpan(since, uid, (await store.mailbox(account)).highest_modseq, END_UID)


async def test_what_arrived_is_found_by_uid_in_pages(store: MailStore, alice: AccountId) -> None:
    mailbox = await fill(store, alice, 5)
    page = await store.arrived(alice, mailbox, Uid(2), Uid(5), 2)
    assert [change.uid for change in page] == [2, 3]
    assert [change.uid for change in await store.arrived(alice, mailbox, Uid(4), Uid(5), 2)] == [4]
    entries = (await store.snapshot(alice)).entries
    assert [change.message_id for change in page] == [entry.message_id for entry in entries[1:3]]
    assert await store.arrived(alice, MailboxId(2**40), Uid(1), END_UID, 2) == []


async def test_changes_and_removals_are_found_in_the_order_of_their_modseqs(store: MailStore, alice: AccountId) -> None:
    mailbox = await fill(store, alice, 4)
    since = (await store.mailbox(alice)).highest_modseq
    await store.set_flags(alice, mailbox, [Uid(3), Uid(1)], FlagChange(add=Flag.SEEN, add_keywords=("work",)))
    await store.expunge(alice, mailbox, [Uid(4)])
    await store.set_flags(alice, mailbox, [Uid(2)], FlagChange(add=Flag.FLAGGED))
    changes = await store.changes(alice, mailbox, await span_until_now(store, alice, since), 10)
    assert changes is not None
    assert [(change.uid, change.flags, tuple(change.keywords)) for change in changes] == [
        (1, Flag.SEEN, ("work",)),
        (3, Flag.SEEN, ("work",)),
        (4, 0, ()),
        (2, Flag.FLAGGED, ()),
    ]
    assert [change.message_id is None for change in changes] == [False, False, True, False]


async def test_pages_of_changes_continue_within_a_modseq(store: MailStore, alice: AccountId) -> None:
    mailbox = await fill(store, alice, 6)
    since = (await store.mailbox(alice)).highest_modseq
    await store.set_flags(alice, mailbox, [Uid(uid) for uid in range(1, 7)], FlagChange(add=Flag.SEEN))
    span, seen = await span_until_now(store, alice, since), list[int]()
    while page := await store.changes(alice, mailbox, span, 4):
        assert len(page) <= 4
        seen += [change.uid for change in page]
        span = span._replace(modseq=page[-1].modseq, uid=page[-1].uid)
    assert seen == [1, 2, 3, 4, 5, 6]


async def test_a_span_leaves_out_later_changes_and_higher_uids(store: MailStore, alice: AccountId) -> None:
    mailbox = await fill(store, alice, 3)
    since = (await store.mailbox(alice)).highest_modseq
    await store.set_flags(alice, mailbox, [Uid(1), Uid(3)], FlagChange(add=Flag.SEEN))
    span = (await span_until_now(store, alice, since))._replace(before=Uid(3))
    await store.set_flags(alice, mailbox, [Uid(2)], FlagChange(add=Flag.SEEN))
    changes = await store.changes(alice, mailbox, span, 10)
    assert [change.uid for change in changes or ()] == [1]


async def test_changes_of_a_mailbox_that_was_deleted_are_not_found(store: MailStore, alice: AccountId) -> None:
    with pytest.raises(MailboxNotFound):
        await store.changes(alice, MailboxId(2**40), ChangeSpan(NO_MODSEQ, END_UID, ModSeq(9), END_UID), 10)


async def settle(store: Store, account: AccountId, name: EventName, *addresses: str) -> None:
    """Send a message, and settle it with an event for each recipient."""
    await store.deliver(sent(account, *addresses))
    for claimed in await store.queue.claim("relay", 100, 100, {}):
        state = QueueState.DELIVERED if name is EventName.RELAYED else QueueState.FAILED
        event = Event(
            name,
            account_id=account,
            message_id=claimed.message_id,
            recipient=claimed.address,
            reply="250 2.0.0 Ok",
            trace_id=TRACE_ID,
            span_id=SPAN_ID,
        )
        assert await store.queue.settle([AttemptResult(claimed.lease, state)], events=[event]) == []


async def test_outcomes_are_stored_from_the_first_follow_on(mail: Store, alice: AccountId, clock: Clock) -> None:
    await settle(mail, alice, EventName.RELAYED, "early@a.example")
    assert await mail.outcomes(alice, 0, 10) is None
    assert await mail.follow_outcomes(alice) == 0
    await settle(mail, alice, EventName.RELAYED, "carol@a.example")
    await settle(mail, alice, EventName.DEFERRED, "later@a.example")
    await settle(mail, alice, EventName.EXPIRED, "dave@b.example")
    outcomes = await mail.outcomes(alice, 0, 10)
    assert outcomes is not None
    assert [(each.number, each.name, each.recipient) for each in outcomes] == [
        (1, EventName.RELAYED, "carol@a.example"),
        (2, EventName.EXPIRED, "dave@b.example"),
    ]
    first = outcomes[0]
    assert first.message_id is not None
    assert (first.reply, first.origin) == ("250 2.0.0 Ok", f"00-{TRACE_ID}-{SPAN_ID}-01")
    assert first.time == pytest.approx(clock.now, abs=0.001)
    assert await mail.follow_outcomes(alice) == 2
    assert await mail.outcomes(alice, 1, 10) == outcomes[1:]
    assert await mail.outcomes(alice, 0, 1) == outcomes[:1]


async def test_outcomes_of_others_are_not_stored(mail: Store, alice: AccountId, bob: AccountId) -> None:
    await mail.follow_outcomes(alice)
    await settle(mail, bob, EventName.RELAYED, "carol@a.example")
    assert await mail.outcomes(alice, 0, 10) == []
    assert await mail.outcomes(bob, 0, 10) is None


async def test_a_position_that_never_was_is_not_resumed(mail: Store, alice: AccountId) -> None:
    await mail.follow_outcomes(alice)
    assert await mail.outcomes(alice, 1, 10) is None


async def test_forgotten_outcomes_are_gone(mail: Store, alice: AccountId) -> None:
    await mail.follow_outcomes(alice)
    await settle(mail, alice, EventName.RELAYED, "carol@a.example")
    await mail.forget_subscribers(alice)
    await mail.forget_subscribers(alice)
    await settle(mail, alice, EventName.RELAYED, "carol@a.example")
    assert await mail.outcomes(alice, 0, 10) is None
    assert await mail.follow_outcomes(alice) == 0


async def test_a_listener_of_another_process_is_told_of_an_outcome(
    mails: tuple[Store, Store], alice: AccountId
) -> None:
    relay, api = mails
    await api.follow_outcomes(alice)
    async with asyncio.timeout(SECONDS), api.listen(alice) as notices:
        await settle(relay, alice, EventName.BOUNCED, "carol@a.example")
        async for notice in notices:
            if notice.mailbox_id == NO_MAILBOX:
                break
    assert notice.modseq == 1


async def test_a_listener_is_told_of_the_first_outcome_after_it_follows(
    mails: tuple[Store, Store], alice: AccountId
) -> None:
    relay, api = mails
    await api.provision(alice)
    async with asyncio.timeout(SECONDS), api.listen(alice) as notices:
        await api.follow_outcomes(alice)
        await settle(relay, alice, EventName.RELAYED, "carol@a.example")
        assert (await anext(notices)).modseq == 1


async def test_concurrent_follows_are_one(mails: tuple[Store, Store], alice: AccountId) -> None:
    one, other = mails
    assert await asyncio.gather(*(store.follow_outcomes(alice) for store in (one, other, one, other))) == [0] * 4
