"""Changes of a message in a state that the caller expects, and changes of many messages at once."""

import pytest

from relate_mailstore.errors import MessageChanged, MessageNotFound
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Destination, Flag, FlagChange, MessageQuery
from tests.support.factories import UNKNOWN_MESSAGE, delivery

SEEN, FLAGGED = Flag.SEEN, Flag.FLAGGED


async def test_a_message_in_the_expected_state_is_changed_and_deleted(store: MailStore, alice: AccountId) -> None:
    placed = (Destination(alice, flags=SEEN, keywords=("b", "A")), Destination(alice, "Archive", keywords=("c",)))
    message_id = (await store.deliver(delivery(*placed))).message_id
    listed = await store.message(alice, message_id)
    listed = await store.flag_message(alice, message_id, FlagChange(add=FLAGGED), listed.state)
    assert listed.flags == FLAGGED  # not SEEN, because one of them is unread
    await store.delete_message(alice, message_id, listed.state)
    with pytest.raises(MessageNotFound):
        await store.delete_message(alice, message_id, listed.state)


@pytest.mark.parametrize("change", ["flags", "keywords", "mailboxes"])
async def test_a_message_in_another_state_stays_as_it_is(store: MailStore, alice: AccountId, change: str) -> None:
    message_id = (await store.deliver(delivery(alice))).message_id
    before = await store.message(alice, message_id)
    inbox = await store.snapshot(alice)
    uids = [entry.uid for entry in inbox.entries]
    match change:
        case "flags":
            await store.set_flags(alice, inbox.mailbox.id, uids, FlagChange(add=FLAGGED))
        case "keywords":
            await store.set_flags(alice, inbox.mailbox.id, uids, FlagChange(add_keywords=("todo",)))
        case _:
            await store.copy(alice, inbox.mailbox.id, uids, "Archive")
    after = await store.message(alice, message_id)
    with pytest.raises(MessageChanged):
        await store.flag_message(alice, message_id, FlagChange(add=SEEN), before.state)
    with pytest.raises(MessageChanged):
        await store.delete_message(alice, message_id, before.state)
    assert (await store.message(alice, message_id)).state == after.state


async def test_many_messages_are_marked_at_once_and_unknown_ones_skipped(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    both = (await store.deliver(delivery(alice, Destination(alice, "Archive", flags=FLAGGED)))).message_id
    one = (await store.deliver(delivery(Destination(alice, flags=SEEN, keywords=("kept",))))).message_id
    theirs = (await store.deliver(delivery(bob))).message_id
    ids = [both, one, theirs, UNKNOWN_MESSAGE, both]
    assert await store.mark_messages(alice, ids, add=SEEN, remove=FLAGGED) == 2
    for message_id, keywords in ((both, ()), (one, ("kept",))):
        state = (await store.message(alice, message_id)).state
        assert (state.flags, state.keywords) == (SEEN, keywords)
    assert (await store.message(bob, theirs)).flags == 0
    assert [entry.flags for entry in (await store.snapshot(alice, "Archive")).entries] == [SEEN]
    assert await store.mark_messages(alice, [], add=SEEN) == 0


async def test_marking_advances_the_modseq_of_changed_mailboxes_only(store: MailStore, alice: AccountId) -> None:
    ids = [(await store.deliver(delivery(alice))).message_id for _ in range(2)]
    before = await store.mailbox(alice)
    await store.mark_messages(alice, ids, add=SEEN)
    changed = await store.snapshot(alice)
    assert {entry.modseq for entry in changed.entries} == {changed.mailbox.highest_modseq}
    assert changed.mailbox.highest_modseq > before.highest_modseq
    await store.mark_messages(alice, ids, add=SEEN)
    assert await store.mailbox(alice) == changed.mailbox


async def test_many_messages_are_deleted_at_once_and_unknown_ones_skipped(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    shared = (await store.deliver(delivery(alice, Destination(alice, "Archive"), bob))).message_id
    own, kept = [(await store.deliver(delivery(alice))).message_id for _ in range(2)]
    assert await store.delete_messages(alice, [shared, own, UNKNOWN_MESSAGE, own]) == 2
    assert [row.message.id for row in (await store.find(alice, MessageQuery(mailbox=None))).items] == [kept]
    assert (await store.mailbox(alice)).messages == 1
    assert (await store.open(bob, shared)).size > 0
    assert await store.delete_messages(alice, [shared, own]) == 0
    assert await store.usage(alice) == (await store.message(alice, kept)).message.index.size
