"""Mailboxes in the settings: created, renamed, emptied and deleted."""

import httpx
import pytest

from relate_mailstore.types import AccountId
from tests.support.factories import delivery
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.page.settings import plain, submit

MAILBOXES = "/settings/mailboxes"


async def names(world: MemoryBackend, alice: AccountId) -> list[str]:
    return [mailbox.name for mailbox in await world.store.mailboxes(alice)]


async def path_of(world: MemoryBackend, alice: AccountId, name: str) -> str:
    return f"{MAILBOXES}/{(await world.store.mailbox(alice, name)).id}"


async def test_a_mailbox_is_created_renamed_and_deleted(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    response = await submit(visitor, MAILBOXES, name=" Projects/Garden ")
    assert (response.status_code, response.headers["location"]) == (303, f"{MAILBOXES}?done=mailbox_saved")
    assert {"Projects", "Projects/Garden"} <= {*await names(world, alice)}
    await submit(visitor, await path_of(world, alice, "Projects"), name="Work")
    assert "Work/Garden" in await names(world, alice)
    page = plain(await visitor.get(await path_of(world, alice, "Work/Garden")))
    assert "It is empty. Mailboxes below it stay." in page
    response = await submit(visitor, f"{await path_of(world, alice, 'Work/Garden')}/delete")
    assert response.headers["location"] == f"{MAILBOXES}?done=mailbox_removed"
    assert "Work/Garden" not in await names(world, alice)


async def test_the_trash_is_emptied_and_no_other_mailbox(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    message_id = (await world.store.deliver(delivery(alice))).message_id
    inbox = await world.store.snapshot(alice)
    uids = [entry.uid for entry in inbox.entries]
    await world.store.copy(alice, inbox.mailbox.id, uids, "Trash")
    trash = await path_of(world, alice, "Trash")
    assert "1 message is deleted permanently." in plain(await visitor.get(trash))
    assert (await submit(visitor, f"{trash}/empty")).headers["location"] == f"{MAILBOXES}?done=mailbox_emptied"
    assert list((await world.store.message(alice, message_id)).mailboxes) == ["INBOX"]
    assert "Empty this mailbox" not in (await visitor.get(trash)).text
    response = await submit(visitor, f"{await path_of(world, alice, 'INBOX')}/empty")
    assert (response.status_code, (await world.store.mailbox(alice)).messages) == (409, 1)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "A mailbox needs a name"),
        ("x" * 1_001, "A mailbox needs a name"),
        ("archive/a//b", "A level of the name is empty."),
        ("Archive", "There is a mailbox with this name."),
    ],
)
async def test_a_name_that_is_refused_comes_back_with_a_sentence(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId, name: str, sentence: str
) -> None:
    await world.store.create_mailbox(alice, "Other")
    before = await names(world, alice)
    for path in (MAILBOXES, await path_of(world, alice, "Other")):
        response = await submit(visitor, path, name=name)
        assert response.status_code == 422
        assert sentence in plain(response)
        assert f'value="{name}"' in response.text
    assert await names(world, alice) == before


async def test_what_has_a_use_of_its_own_is_not_deleted(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    await world.store.provision(alice)
    for name in ("INBOX", "Sent"):
        path = await path_of(world, alice, name)
        assert "cannot be deleted" in plain(await visitor.get(path))
        assert (await submit(visitor, f"{path}/delete")).status_code == 409
    assert {"INBOX", "Sent"} <= {*await names(world, alice)}
