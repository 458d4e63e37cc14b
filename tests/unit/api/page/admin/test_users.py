"""`/admin/users`: users, their addresses and keys."""

import re

import httpx
import pytest

from relate_accounts.errors import UserNotFound
from relate_accounts.types import Scope, UserId
from relate_mailstore.types import AccountId
from tests.support.factories import delivery
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.page.admin.operating import send


async def test_a_user_is_added_and_found_by_an_address(operator: httpx.AsyncClient, world: MemoryBackend) -> None:
    response = await send(operator, "/admin/users", address="carol@example.org", name="Carol")
    user = await world.accounts.user_by_address("carol@example.org")
    assert (response.status_code, response.headers["location"]) == (303, f"/admin/users/{user.id}?done=user_added")
    assert "The user was added." in (await operator.get(response.headers["location"])).text
    found = (await operator.get("/admin/users", params={"address": "carol@example.org"})).text
    assert "Carol" in found
    assert "bob@example.net" not in found


@pytest.mark.parametrize(
    ("fields", "status", "sentence"),
    [
        ({"address": "no address", "name": "Ann <b>"}, 422, "An address has the form name@example.org."),
        ({"address": "bob@example.net", "name": "Ann <b>"}, 409, "address"),
        ({"address": "x@example.org", "name": "Ann <b>" + "y" * 200}, 422, "A name has at most 200 characters"),
    ],
)
async def test_a_refused_form_keeps_what_was_typed(
    operator: httpx.AsyncClient, fields: dict[str, str], status: int, sentence: str
) -> None:
    response = await send(operator, "/admin/users", **fields)
    assert response.status_code == status
    assert sentence in response.text
    assert f'value="{fields["address"]}"' in response.text
    assert "Ann &lt;b&gt;" in response.text


async def test_a_list_has_pages(operator: httpx.AsyncClient, world: MemoryBackend) -> None:
    for number in range(60):
        await world.accounts.add_user(f"user{number}@example.org")
    first = (await operator.get("/admin/users")).text
    cursor = re.search(r'rel="next" href="([^"]+)"', first)
    assert cursor is not None
    second = (await operator.get(cursor[1])).text
    assert "user59@example.org" not in first
    assert "user59@example.org" in second
    assert "First page" in second
    assert (await operator.get("/admin/users?cursor=wrong")).status_code == 422


async def test_name_and_quota_are_saved(operator: httpx.AsyncClient, world: MemoryBackend, bob: AccountId) -> None:
    path = f"/admin/users/{bob}"
    await send(operator, path, name="Robert", quota="1.5")
    user = await world.accounts.user(UserId(bob))
    assert (user.display_name, user.quota) == ("Robert", 1_500_000)
    assert 'value="1.5"' in (await operator.get(path)).text
    await send(operator, path, name="Robert", quota="")
    assert (await world.accounts.user(UserId(bob))).quota is None


@pytest.mark.parametrize("quota", ["much", "-1", "NaN", "1e999999", "0.0000001", "9" * 30])
async def test_a_quota_that_is_no_number_is_refused(operator: httpx.AsyncClient, bob: AccountId, quota: str) -> None:
    response = await send(operator, f"/admin/users/{bob}", name="", quota=quota)
    assert response.status_code == 422
    assert "A quota is a number of MB" in response.text
    assert f'value="{quota}"' in response.text


async def test_logins_are_disabled_and_enabled(
    operator: httpx.AsyncClient, world: MemoryBackend, bob: AccountId
) -> None:
    await send(operator, f"/admin/users/{bob}/logins", disabled="true")
    assert (await world.accounts.user(UserId(bob))).disabled is not None
    await send(operator, f"/admin/users/{bob}/logins", disabled="false")
    assert (await world.accounts.user(UserId(bob))).disabled is None


async def test_operators_neither_disable_nor_remove_themselves(
    operator: httpx.AsyncClient, world: MemoryBackend
) -> None:
    own = await world.accounts.user_by_address("operator@example.org")
    for path, fields in (("logins", {"disabled": "true"}), ("remove", {})):
        response = await send(operator, f"/admin/users/{own.id}/{path}", **fields)
        assert response.status_code == 409
        assert "another administrator can do it" in response.text
    assert (await world.accounts.user(own.id)).disabled is None


async def test_addresses_are_added_and_removed(
    operator: httpx.AsyncClient, world: MemoryBackend, bob: AccountId
) -> None:
    path = f"/admin/users/{bob}/addresses"
    await send(operator, path, address="robert@example.net")
    assert "robert@example.net" in await world.accounts.addresses(UserId(bob))
    refused = await send(operator, path, address="alice@example.org")
    assert refused.status_code == 409
    assert 'value="alice@example.org"' in refused.text
    await send(operator, f"{path}/remove", address="robert@example.net")
    assert await world.accounts.addresses(UserId(bob)) == ["bob@example.net"]
    primary = await send(operator, f"{path}/remove", address="bob@example.net")
    assert primary.status_code == 409
    assert "The primary address stays." in primary.text


async def test_the_secret_of_a_key_is_shown_once(
    operator: httpx.AsyncClient, world: MemoryBackend, bob: AccountId
) -> None:
    path = f"/admin/users/{bob}"
    response = await send(operator, f"{path}/keys", name="phone", scope=["imap", "smtp"], days="7")
    assert response.headers["cache-control"] == "no-store"
    secret = re.search(r'id="secret" readonly value="([^"]+)"', response.text)
    assert secret is not None
    key = (await world.accounts.keys(UserId(bob)))[0]
    assert (key.name, set(key.scopes)) == ("phone", {Scope.IMAP, Scope.SMTP})
    assert key.expires is not None
    assert f'data-reloads="{path}"' in response.text  # a reload does not make another key
    assert '<button type="button" data-copies="secret" hidden>Copy</button>' in response.text
    assert secret[1] not in (await operator.get(path)).text
    await send(operator, f"{path}/keys/{key.id}/revoke")
    assert (await world.accounts.keys(UserId(bob)))[0].revoked is not None


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": "", "scope": ["imap"], "days": "7"}, "A name has 1 to"),
        ({"name": "phone", "days": "7"}, "Choose what the key may do."),
        ({"name": "phone", "scope": ["everything"], "days": "7"}, "Choose what the key may do."),
        ({"name": "phone", "scope": ["imap"], "days": "0"}, "A key is valid for 1 to 3650 days"),
        ({"name": "phone", "scope": ["imap"], "days": "soon"}, "A key is valid for 1 to 3650 days"),
    ],
)
async def test_a_key_that_is_not_valid_is_not_made(
    operator: httpx.AsyncClient, world: MemoryBackend, bob: AccountId, fields: dict[str, object], sentence: str
) -> None:
    before = await world.accounts.keys(UserId(bob))
    response = await send(operator, f"/admin/users/{bob}/keys", **fields)
    assert response.status_code == 422
    assert sentence in response.text
    assert f'value="{fields["days"]}"' in response.text
    assert await world.accounts.keys(UserId(bob)) == before


async def test_a_removal_says_what_it_deletes_and_needs_a_second_click(
    operator: httpx.AsyncClient, world: MemoryBackend, bob: AccountId
) -> None:
    await world.store.deliver(delivery(bob))
    asked = await operator.get(f"/admin/users/{bob}/remove")
    assert "1 message in" in asked.text
    assert "bob@example.net" in asked.text
    assert await world.accounts.user(UserId(bob))
    removed = await send(operator, f"/admin/users/{bob}/remove")
    assert removed.headers["location"] == "/admin/users?done=user_removed"
    with pytest.raises(UserNotFound):
        await world.accounts.user(UserId(bob))
    assert (await operator.get(f"/admin/users/{bob}")).status_code == 404
