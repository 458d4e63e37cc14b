"""Labels: their settings, on messages, and as links to searches."""

import re

import httpx
import pytest

from relate_mailstore.filter_types import LabelStyle
from relate_mailstore.types import AccountId, FlagChange, MessageId
from tests.support.factories import delivery, simple
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.page.browsing import act
from tests.unit.api.page.settings import plain, submit

LABELS = "/settings/labels"
WORK = LabelStyle("Work", "#112233", 5)
TO_DO = LabelStyle("To do <b>", "#445566")


async def deliver(world: MemoryBackend, alice: AccountId, subject: str = "Hello") -> MessageId:
    message_id = (await world.store.deliver(delivery(alice, raw=simple(subject)))).message_id
    assert message_id is not None
    return message_id


async def keywords(world: MemoryBackend, alice: AccountId, message_id: MessageId) -> tuple[str, ...]:
    return (await world.store.message(alice, message_id)).keywords


async def styles(world: MemoryBackend, alice: AccountId) -> list[LabelStyle]:
    return [label.style for label in await world.store.labels.all(alice)]


async def test_a_label_is_created_changed_and_deleted(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    response = await submit(visitor, LABELS, name=" Work ", color="#AABBCC")
    assert (response.status_code, response.headers["location"]) == (303, f"{LABELS}?done=label_saved")
    (label,) = await world.store.labels.all(alice)
    assert label.style == LabelStyle("Work", "#aabbcc")
    await submit(visitor, f"{LABELS}/{label.id}", name="Office", color="#112233")
    assert await styles(world, alice) == [LabelStyle("Office", "#112233")]
    response = await submit(visitor, f"{LABELS}/{label.id}/delete")
    assert response.headers["location"] == f"{LABELS}?done=label_removed"
    assert await styles(world, alice) == []


async def test_a_label_keeps_its_place_when_it_is_renamed(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    label = await world.store.labels.add(alice, WORK)
    await submit(visitor, f"{LABELS}/{label.id}", name="Office", color=WORK.color)
    assert await styles(world, alice) == [LabelStyle("Office", WORK.color, WORK.sort_order)]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": ""}, "A label needs a name of at most 64 characters."),
        ({"name": "x" * 65}, "A label needs a name of at most 64 characters."),
        ({"name": "Work"}, "A label has this name."),
        ({"name": "New", "color": "red"}, "A colour is # and six hexadecimal digits"),
    ],
)
async def test_a_label_that_is_refused_comes_back_with_a_sentence_and_what_was_typed(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId, fields: dict[str, str], sentence: str
) -> None:
    await world.store.labels.add(alice, WORK)
    other = await world.store.labels.add(alice, LabelStyle("Other", "#000000"))
    before = await styles(world, alice)
    for path in (LABELS, f"{LABELS}/{other.id}"):
        response = await submit(visitor, path, **fields)
        assert response.status_code == 422
        assert sentence in plain(response)
        assert all(f'value="{value}"' in response.text for value in fields.values() if value)
    assert await styles(world, alice) == before


async def test_the_form_of_a_label_tells_how_many_messages_have_it(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    label = await world.store.labels.add(alice, WORK)
    assert "No message has it." in plain(await visitor.get(f"{LABELS}/{label.id}"))
    for _ in range(2):
        await act(visitor, "label", await deliver(world, alice), label=str(label.id))
    assert "2 messages have it, and remain without it." in plain(await visitor.get(f"{LABELS}/{label.id}"))


async def test_messages_get_a_label_and_lose_it(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    label = await world.store.labels.add(alice, TO_DO)
    first, second = await deliver(world, alice), await deliver(world, alice)
    missing = "00000000-0000-0000-0000-000000000000"
    response = await act(visitor, "label", first, second, missing, label=str(label.id), back="/?q=x")
    assert (response.status_code, response.headers["location"]) == (303, "/?q=x")
    assert await keywords(world, alice, first) == await keywords(world, alice, second) == (label.keyword,)
    await act(visitor, "unlabel", first, label=str(label.id))
    assert (await keywords(world, alice, first), await keywords(world, alice, second)) == ((), (label.keyword,))


async def test_without_a_label_to_give_the_form_is_refused(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId, bob: AccountId
) -> None:
    message_id = await deliver(world, alice)
    foreign = await world.store.labels.add(bob, LabelStyle("Bob's", "#112233"))
    assert (await act(visitor, "label", message_id, label="")).status_code == 422
    assert (await act(visitor, "label", message_id, label="nope")).status_code == 422
    assert (await act(visitor, "label", message_id, label=str(foreign.id))).status_code == 404
    assert await keywords(world, alice, message_id) == ()


async def test_labels_are_shown_by_their_names_and_lead_to_their_messages(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    label = await world.store.labels.add(alice, TO_DO)
    message_id, other = await deliver(world, alice, "Mine"), await deliver(world, alice, "Other")
    await act(visitor, "label", message_id, label=str(label.id))
    for path in ("/", f"/messages/{message_id}", f"/messages/{message_id}/journey", f"/threads/{message_id}", LABELS):
        page = await visitor.get(path)
        assert "<bdi>To do &lt;b&gt;</bdi>" in page.text
        assert f'href="/?q=label%3A{label.keyword}"' in page.text
    found = await visitor.get(f"/?q=label%3A{label.keyword}")
    assert "<h1><bdi>To do &lt;b&gt;</bdi></h1>" in found.text
    assert f'href="/messages/{message_id}?' in found.text
    assert f'href="/messages/{other}' not in found.text
    assert re.search(rf'href="/\?q=label%3A{label.keyword}" aria-current="page"', found.text)


async def test_a_keyword_of_a_mail_program_is_no_label_of_the_column_until_it_gets_a_name(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    message_id = await deliver(world, alice)
    await world.store.flag_message(alice, message_id, FlagChange(add_keywords=("Later",)))
    page = await visitor.get(f"/messages/{message_id}")
    assert "<bdi>Later</bdi>" in page.text
    assert "label%3ALater" not in page.text
    assert "set by a mail program" in plain(await visitor.get(LABELS))
    (label,) = await world.store.labels.all(alice)
    await submit(visitor, f"{LABELS}/{label.id}", name="Forwarded", color="#112233")
    page = await visitor.get(f"/messages/{message_id}")
    assert "label%3ALater" in page.text
    assert "<bdi>Later</bdi>" not in page.text
