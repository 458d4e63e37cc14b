"""Flags and keywords: added, removed, returned in their new state, and no concurrent change lost."""

import asyncio

import pytest

from relate_mailstore.errors import MailboxNotFound, MessageNotFound, TooManyKeywords
from relate_mailstore.keywords import MAX_MAILBOX_KEYWORDS, MAX_MESSAGE_KEYWORDS
from relate_mailstore.ports import MailStore
from relate_mailstore.types import (
    AccountId,
    Destination,
    Flag,
    FlagChange,
    Flagged,
    MailboxId,
    MessageQuery,
    NewMessage,
)
from tests.support.factories import UNKNOWN_MESSAGE, delivery, simple, uids

SEEN, FLAGGED, DELETED = Flag.SEEN, Flag.FLAGGED, Flag.DELETED


@pytest.mark.parametrize(
    ("flags", "change", "expected"),
    [
        pytest.param(0, FlagChange(add=SEEN), SEEN, id="add"),
        pytest.param(SEEN, FlagChange(add=SEEN), SEEN, id="add what is there"),
        pytest.param(SEEN, FlagChange(add=FLAGGED | DELETED), SEEN | FLAGGED | DELETED, id="add beside"),
        pytest.param(SEEN | FLAGGED, FlagChange(remove=SEEN), FLAGGED, id="remove"),
        pytest.param(FLAGGED, FlagChange(remove=SEEN), FLAGGED, id="remove what is not there"),
        pytest.param(SEEN, FlagChange(add=FLAGGED, remove=SEEN), FLAGGED, id="add and remove"),
        pytest.param(0, FlagChange(add=SEEN, remove=SEEN), SEEN, id="adding wins"),
        pytest.param(SEEN | DELETED, FlagChange(add=FLAGGED, remove=31), FLAGGED, id="replace all"),
        pytest.param(SEEN, FlagChange(), SEEN, id="nothing"),
    ],
)
async def test_flags_are_added_and_removed(
    store: MailStore, alice: AccountId, flags: int, change: FlagChange, expected: int
) -> None:
    await store.deliver(delivery(Destination(alice, flags=flags)))
    (entry,) = (await store.set_flags(alice, (await store.mailbox(alice)).id, uids(1), change)).entries
    assert entry.flags == expected
    assert (await store.snapshot(alice)).entries == (entry,)


@pytest.mark.parametrize(
    ("keywords", "change", "expected"),
    [
        pytest.param((), FlagChange(add_keywords=("b", "a", "b")), ("a", "b"), id="add, sorted, once each"),
        pytest.param(("m",), FlagChange(add_keywords=("m",)), ("m",), id="add what is there"),
        pytest.param(("a", "b"), FlagChange(remove_keywords=("a",)), ("b",), id="remove"),
        pytest.param(("a",), FlagChange(remove_keywords=("a",)), (), id="remove the last"),
        pytest.param(("a",), FlagChange(remove_keywords=("b",)), ("a",), id="remove what is not there"),
        pytest.param(("a",), FlagChange(add_keywords=("a",), remove_keywords=("a",)), ("a",), id="adding wins"),
        pytest.param(("a", "b"), FlagChange(add_keywords=("c",), remove_keywords=("a", "b")), ("c",), id="replace"),
        pytest.param((), FlagChange(add_keywords=("$Junk", "a_b'c")), ("$Junk", "a_b'c"), id="any atom"),
        pytest.param(("Work",), FlagChange(add_keywords=("work",)), ("Work",), id="add in another case"),
        pytest.param((), FlagChange(add_keywords=("Work", "work")), ("Work",), id="add both, the first stays"),
        pytest.param(("Work",), FlagChange(remove_keywords=("wORK",)), (), id="remove in another case"),
        pytest.param(("Work",), FlagChange(add_keywords=("work", "a"), replace=True), ("Work", "a"), id="replace, too"),
        pytest.param(("Work", "work"), FlagChange(), ("Work",), id="deliver both, the first stays"),
    ],
)
async def test_keywords_are_added_and_removed(
    store: MailStore, alice: AccountId, keywords: tuple[str, ...], change: FlagChange, expected: tuple[str, ...]
) -> None:
    await store.deliver(delivery(Destination(alice, keywords=keywords)))
    (entry,) = (await store.set_flags(alice, (await store.mailbox(alice)).id, uids(1), change)).entries
    assert entry.keywords == expected
    assert (await store.snapshot(alice)).entries == (entry,)


async def test_entries_are_returned_once_in_uid_order_without_expunged_ones(store: MailStore, alice: AccountId) -> None:
    for _ in range(4):
        await store.deliver(delivery(alice))
    inbox = await store.mailbox(alice)
    await store.expunge(alice, inbox.id, uids(2))
    entries = (await store.set_flags(alice, inbox.id, uids(4, 2, 1, 4, 99, 3), FlagChange(SEEN))).entries
    assert [(entry.uid, entry.flags) for entry in entries] == [(1, SEEN), (3, SEEN), (4, SEEN)]


async def test_an_empty_uid_set_changes_nothing(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    before = await store.snapshot(alice)
    assert await store.set_flags(alice, before.mailbox.id, [], FlagChange(SEEN)) == Flagged(())
    assert await store.snapshot(alice) is before


async def test_a_thousand_entries_are_changed_together(store: MailStore, alice: AccountId) -> None:
    await asyncio.gather(*(store.deliver(delivery(alice)) for _ in range(1000)))
    inbox = await store.mailbox(alice)
    entries = (await store.set_flags(alice, inbox.id, uids(*range(1, 1001)), FlagChange(SEEN))).entries
    assert [entry.uid for entry in entries] == list(range(1, 1001))
    assert entries == (await store.snapshot(alice)).entries


async def test_only_entries_that_changed_get_a_new_modseq(store: MailStore, alice: AccountId) -> None:
    for flags in (0, SEEN, 0):
        await store.deliver(delivery(Destination(alice, flags=flags)))
    before = await store.snapshot(alice)
    after = (await store.set_flags(alice, before.mailbox.id, uids(1, 2), FlagChange(SEEN))).entries
    assert after[0].modseq > before.mailbox.highest_modseq
    assert after[1] == before.entries[1]
    snapshot = await store.snapshot(alice)
    assert snapshot.entries[2] == before.entries[2]
    assert snapshot.mailbox.highest_modseq == after[0].modseq


async def test_a_change_without_effect_leaves_the_mailbox_unchanged(store: MailStore, alice: AccountId) -> None:
    receipt = await store.deliver(delivery(Destination(alice, flags=SEEN, keywords=("a",))))
    before = await store.snapshot(alice)
    change = FlagChange(add=SEEN, remove=DELETED, add_keywords=("a",), remove_keywords=("b",))
    assert (await store.set_flags(alice, before.mailbox.id, uids(1), change)).entries == before.entries
    await store.flag_message(alice, receipt.message_id, change)
    assert await store.snapshot(alice) is before


async def test_concurrent_flag_changes_are_all_applied(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    inbox = await store.mailbox(alice)
    keywords = [f"k{number:02}" for number in range(20)]
    await asyncio.gather(
        *(store.set_flags(alice, inbox.id, uids(1), FlagChange(add_keywords=(keyword,))) for keyword in keywords),
        *(store.set_flags(alice, inbox.id, uids(1), FlagChange(add=flag)) for flag in Flag),
    )
    (entry,) = (await store.snapshot(alice)).entries
    assert entry.keywords == tuple(keywords)
    assert entry.flags == sum(Flag)


async def test_concurrent_flag_changes_apply_to_their_own_mailboxes(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    places = [(account, name) for account in (alice, bob) for name in ("INBOX", "Sent", "Junk")]
    for account, name in places:
        for _ in range(3):
            await store.deliver(delivery(Destination(account, name)))
    mailboxes = [await store.mailbox(account, name) for account, name in places]
    changes = [
        store.set_flags(mailbox.account_id, mailbox.id, among, FlagChange(add_keywords=(f"k{number}", f"u{among[0]}")))
        for number, mailbox in enumerate(mailboxes)
        for among in (uids(1), uids(3, 1))
    ]
    await asyncio.gather(*changes, store.set_flags(alice, mailboxes[0].id, uids(2), FlagChange(SEEN)))
    for number, (account, name) in enumerate(places):
        keywords = [entry.keywords for entry in (await store.snapshot(account, name)).entries]
        assert keywords == [(f"k{number}", "u1", "u3"), (), (f"k{number}", "u3")]
    assert [entry.flags for entry in (await store.snapshot(alice)).entries] == [0, SEEN, 0]


async def test_a_change_in_a_missing_mailbox_fails_alone(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    inbox = await store.mailbox(alice)
    nowhere = MailboxId(2**40)
    answers = await asyncio.gather(
        *(store.set_flags(alice, mailbox, uids(1), FlagChange(SEEN)) for mailbox in (inbox.id, nowhere, inbox.id)),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [Flagged, MailboxNotFound, Flagged]
    assert [entry.flags for entry in (await store.snapshot(alice)).entries] == [SEEN]


async def test_mail_of_another_account_cannot_be_flagged(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    receipt = await store.deliver(delivery(alice))
    await store.provision(bob)
    before = await store.snapshot(alice)
    with pytest.raises(MailboxNotFound):
        await store.set_flags(bob, before.mailbox.id, uids(1), FlagChange(SEEN))
    with pytest.raises(MessageNotFound):
        await store.flag_message(bob, receipt.message_id, FlagChange(SEEN))
    assert await store.snapshot(alice) == before


async def test_flags_are_per_recipient(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    receipt = await store.deliver(delivery(alice, bob))
    await store.flag_message(alice, receipt.message_id, FlagChange(SEEN))
    assert (await store.message(bob, receipt.message_id)).flags == 0


async def test_a_message_is_flagged_in_every_mailbox_it_is_entered_in(store: MailStore, alice: AccountId) -> None:
    receipt = await store.deliver(delivery(alice, Destination(alice, "Sent", flags=FLAGGED)))
    change = FlagChange(add=SEEN, remove=FLAGGED, add_keywords=("todo",))
    listed = await store.flag_message(alice, receipt.message_id, change)
    assert (listed.flags, listed.keywords, listed.mailboxes) == (SEEN, ("todo",), ("INBOX", "Sent"))
    assert listed == await store.message(alice, receipt.message_id)
    for name in ("INBOX", "Sent"):
        (entry,) = (await store.snapshot(alice, name)).entries
        assert (entry.flags, entry.keywords) == (SEEN, ("todo",))


async def test_flagging_an_unknown_message_raises_not_found(store: MailStore, alice: AccountId) -> None:
    with pytest.raises(MessageNotFound):
        await store.flag_message(alice, UNKNOWN_MESSAGE, FlagChange(SEEN))


async def test_a_label_is_spelled_as_in_its_mailbox(store: MailStore, alice: AccountId) -> None:
    one, other = [await store.deliver(delivery(alice)) for _ in range(2)]
    await store.flag_message(alice, one.message_id, FlagChange(add_keywords=("Work",)))
    listed = await store.flag_message(alice, other.message_id, FlagChange(add_keywords=("work", "WORK")))
    assert listed.keywords == ("Work",)
    assert list((await store.snapshot(alice)).keywords) == ["Work"]
    for spelling in ("work", "Work", "WORK"):
        found = await store.find(alice, MessageQuery(keyword=spelling))
        assert {row.message.id for row in found.items} == {one.message_id, other.message_id}
    assert (await store.find(alice, MessageQuery(keyword="wor"))).items == ()
    listed = await store.flag_message(alice, other.message_id, FlagChange(remove_keywords=("wORK",)))
    assert listed.keywords == ()


def keywords_of(count: int, start: int = 0) -> tuple[str, ...]:
    return tuple(f"k{number:03}" for number in range(start, start + count))


async def test_the_keywords_of_a_message_are_limited(store: MailStore, alice: AccountId) -> None:
    receipt = await store.deliver(delivery(Destination(alice, keywords=keywords_of(MAX_MESSAGE_KEYWORDS))))
    inbox = await store.mailbox(alice)
    before = await store.snapshot(alice)
    one_more = FlagChange(SEEN, add_keywords=("another",))
    with pytest.raises(TooManyKeywords):
        await store.set_flags(alice, inbox.id, uids(1), one_more)
    with pytest.raises(TooManyKeywords):
        await store.flag_message(alice, receipt.message_id, one_more)
    too_many = keywords_of(MAX_MESSAGE_KEYWORDS + 1)
    with pytest.raises(TooManyKeywords):
        await store.deliver(delivery(Destination(alice, keywords=too_many)))
    with pytest.raises(TooManyKeywords):
        await store.append(alice, "INBOX", [NewMessage(simple()), NewMessage(simple(), keywords=too_many)])
    assert await store.snapshot(alice) == before
    instead = FlagChange(add_keywords=("another",), remove_keywords=("k000",))
    (entry,) = (await store.set_flags(alice, inbox.id, uids(1), instead)).entries
    assert len(entry.keywords) == MAX_MESSAGE_KEYWORDS


async def test_a_change_with_too_many_keywords_fails_alone(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    inbox = await store.mailbox(alice)
    changes = [FlagChange(SEEN), FlagChange(add_keywords=keywords_of(MAX_MESSAGE_KEYWORDS + 1)), FlagChange(FLAGGED)]
    answers = await asyncio.gather(
        *(store.set_flags(alice, inbox.id, uids(1), change) for change in changes), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [Flagged, TooManyKeywords, Flagged]
    (entry,) = (await store.snapshot(alice)).entries
    assert (entry.flags, entry.keywords) == (SEEN | FLAGGED, ())


async def test_the_labels_of_a_mailbox_are_limited(store: MailStore, alice: AccountId) -> None:
    per_message = MAX_MAILBOX_KEYWORDS // 8
    for start in range(0, MAX_MAILBOX_KEYWORDS, per_message):
        await store.deliver(delivery(Destination(alice, keywords=keywords_of(per_message, start))))
    receipt = await store.deliver(delivery(alice))
    with pytest.raises(TooManyKeywords):
        await store.flag_message(alice, receipt.message_id, FlagChange(add_keywords=("another",)))
    listed = await store.flag_message(alice, receipt.message_id, FlagChange(add_keywords=("K001",)))
    assert listed.keywords == ("k001",)
