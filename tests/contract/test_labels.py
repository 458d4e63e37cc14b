"""Labels give keywords a name, a colour and a place; IMAP, the API and filters share the keywords."""

import asyncio

import pytest

from relate_mailstore.errors import LabelExists, LabelNotFound, TooManyLabels
from relate_mailstore.filter_types import Label, LabelStyle
from relate_mailstore.label_rules import DEFAULT_COLOR, MAX_LABELS, label_id
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.sql.labels import store as sql_labels
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Destination, FlagChange
from tests.support.factories import delivery

Store = MemoryMailStore | SqlMailStore

BLUE = "#0000ff"


async def add(mail: Store, account: AccountId, name: str) -> Label:
    return await mail.labels.add(account, LabelStyle(name, BLUE))


async def with_keywords(mail: Store, account: AccountId, *keywords: str, mailbox: str = "INBOX") -> None:
    await mail.deliver(delivery(Destination(account, mailbox, keywords=keywords)))


async def test_labels_are_listed_in_their_order_with_the_keywords_that_only_clients_use(
    mail: Store, alice: AccountId, bob: AccountId
) -> None:
    await with_keywords(mail, alice, "$Forwarded", "urgent")
    await with_keywords(mail, alice, "urgent", mailbox="Archive")
    await with_keywords(mail, bob, "private")
    last = await mail.labels.add(alice, LabelStyle("a", BLUE, sort_order=9))
    found = await mail.labels.all(alice)
    assert [(one.style.name, one.style.color, one.is_stored) for one in found] == [
        ("$Forwarded", DEFAULT_COLOR, False),
        ("urgent", DEFAULT_COLOR, False),
        ("a", BLUE, True),
    ]
    assert found[-1] == last == await mail.labels.find(alice, last.id)


async def test_a_label_takes_over_the_keyword_that_is_its_name(mail: Store, alice: AccountId) -> None:
    await with_keywords(mail, alice, "Work")
    (before,) = await mail.labels.all(alice)
    after = await add(mail, alice, "work")
    assert (after.id, after.keyword, after.style.name) == (before.id, "Work", "work")
    assert await mail.labels.all(alice) == [after]


async def test_a_keyword_gets_a_style(mail: Store, alice: AccountId) -> None:
    await with_keywords(mail, alice, "todo")
    changed = await mail.labels.change(alice, label_id(alice, "todo"), LabelStyle("To do!", BLUE, 3))
    assert (changed.keyword, changed.style, changed.is_stored) == ("todo", LabelStyle("To do!", BLUE, 3), True)
    assert await mail.labels.all(alice) == [changed]


async def test_a_new_name_keeps_the_keyword(mail: Store, alice: AccountId) -> None:
    work = await add(mail, alice, "work")
    renamed = await mail.labels.change(alice, work.id, LabelStyle("Büro", "#ffffff", 1))
    assert (renamed.id, renamed.keyword, renamed.style) == (work.id, "work", LabelStyle("Büro", "#ffffff", 1))
    again = await add(mail, alice, "work")
    assert again.keyword == "work_2"
    assert {one.style.name for one in await mail.labels.all(alice)} == {"Büro", "work"}


async def test_a_name_that_is_no_keyword_gets_one_that_nothing_else_has(mail: Store, alice: AccountId) -> None:
    await with_keywords(mail, alice, "Tax_2026")
    names = ("Tax 2026", "tax/2026", "Grüße", "税", "稅")
    assert [(await add(mail, alice, name)).keyword for name in names] == [
        "Tax_2026_2",
        "tax_2026_3",
        "Grue",
        "label",
        "label_2",
    ]


async def test_names_are_unique_for_an_account_in_any_case(mail: Store, alice: AccountId, bob: AccountId) -> None:
    work, home = await add(mail, alice, "Work"), await add(mail, alice, "home")
    for name in ("work", "ＷＯＲＫ"):
        with pytest.raises(LabelExists):
            await add(mail, alice, name)
    with pytest.raises(LabelExists):
        await mail.labels.change(alice, home.id, LabelStyle("WORK", BLUE))
    assert (await mail.labels.change(alice, work.id, LabelStyle("WORK", BLUE))).style.name == "WORK"
    await add(mail, bob, "Work")


async def test_of_concurrent_calls_one_gets_the_name(mails: tuple[Store, Store], alice: AccountId) -> None:
    results = await asyncio.gather(*(add(store, alice, "work") for store in mails * 3), return_exceptions=True)
    assert sum(isinstance(result, Label) for result in results) == 1
    assert sum(isinstance(result, LabelExists) for result in results) == 5


async def test_another_account_has_no_access(mail: Store, alice: AccountId, bob: AccountId) -> None:
    work = await add(mail, alice, "work")
    await with_keywords(mail, alice, "work")
    for call in (
        mail.labels.find(bob, work.id),
        mail.labels.change(bob, work.id, LabelStyle("mine", BLUE)),
        mail.labels.remove(bob, work.id),
    ):
        with pytest.raises(LabelNotFound):
            await call
    assert await mail.labels.all(alice) == [work]


async def test_a_removed_label_is_on_no_message_in_any_case(
    mail: Store, alice: AccountId, bob: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_labels, "BATCH_ENTRIES", 2)
    work = await add(mail, alice, "work")
    for mailbox in ("INBOX", "INBOX", "Archive", "INBOX", "Archive"):
        await with_keywords(mail, alice, "work", "other", mailbox=mailbox)
    snapshot = await mail.snapshot(alice)
    await mail.set_flags(alice, snapshot.mailbox.id, [snapshot.entries[0].uid], FlagChange(remove_keywords=("other",)))
    await with_keywords(mail, bob, "work")
    before = (await mail.mailbox(alice)).highest_modseq
    async with mail.listen(alice) as notices:
        await mail.labels.remove(alice, work.id)
        assert (await anext(aiter(notices))).account_id == alice
    assert [one.style.name for one in await mail.labels.all(alice)] == ["other"]
    assert (await mail.mailbox(alice)).highest_modseq > before
    assert [entry.keywords for entry in (await mail.snapshot(alice)).entries] == [(), ("other",), ("other",)]
    assert [entry.keywords for entry in (await mail.snapshot(bob)).entries] == [("work",)]


async def test_a_keyword_without_a_stored_label_is_removed_too(mail: Store, alice: AccountId) -> None:
    await with_keywords(mail, alice, "Urgent")
    await mail.labels.remove(alice, label_id(alice, "urgent"))
    assert await mail.labels.all(alice) == []
    with pytest.raises(LabelNotFound):
        await mail.labels.remove(alice, label_id(alice, "urgent"))


async def test_an_account_has_a_limited_number_of_labels(mail: Store, alice: AccountId) -> None:
    await with_keywords(mail, alice, "imap")
    for number in range(MAX_LABELS):
        await add(mail, alice, f"label {number}")
    with pytest.raises(TooManyLabels):
        await add(mail, alice, "another")
    with pytest.raises(TooManyLabels):
        await mail.labels.change(alice, label_id(alice, "imap"), LabelStyle("imap", BLUE))
    await mail.labels.erase(alice)
    assert [one.keyword for one in await mail.labels.all(alice)] == ["imap"]
