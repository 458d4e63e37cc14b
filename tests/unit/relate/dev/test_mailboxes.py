"""Users made on demand, the directory and the authenticator over them, and users that others have made."""

import asyncio

import pytest

from relate.dev.authenticator import SCOPES, OpenAuthenticator
from relate.dev.directory import OpenDirectory
from relate.dev.mailboxes import ISSUER, Mailboxes
from relate_accounts.keys import generate_key
from relate_accounts.memory import MemoryAccountStore
from relate_accounts.types import Denied, Granted, Identity, Scope, UserId
from relate_config import ConfigurationError
from relate_submission.routing import Relaying, Unroutable
from tests.support.memory_backend import MemoryBackend

ALICE = "alice@example.test"
CLIENT = "192.0.2.1"


@pytest.fixture
def world() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def mailboxes(world: MemoryBackend) -> Mailboxes:
    return Mailboxes(world.accounts)


@pytest.fixture
def authenticator(world: MemoryBackend, mailboxes: Mailboxes) -> OpenAuthenticator:
    return OpenAuthenticator(world.authenticator, mailboxes, "localhost")


async def test_each_address_has_a_mailbox_of_its_own(mailboxes: Mailboxes) -> None:
    directory = OpenDirectory(mailboxes)
    recipients = [await directory.resolve(address) for address in (ALICE, "ALICE@Example.Test", "alice+a@example.test")]
    first, same, other = (recipient and recipient.user_id for recipient in recipients)
    assert first == same != other


async def test_concurrent_requests_for_an_address_make_one_user(mailboxes: Mailboxes, world: MemoryBackend) -> None:
    users = await asyncio.gather(*(mailboxes.owner(ALICE) for _ in range(10)))
    assert len({user.id for user in users if user}) == 1
    assert len(await world.accounts.users()) == 1


@pytest.mark.parametrize("address", ["", "@", "a@", "x@[192.0.2.1]", "a" * 65 + "@example.test", "\udc80@example.test"])
async def test_what_is_no_address_has_no_mailbox(mailboxes: Mailboxes, address: str) -> None:
    assert await mailboxes.owner(address) is None


@pytest.mark.parametrize("address", ["x@gmail.example", "x@[192.0.2.1]"])
async def test_no_address_is_on_another_server(mailboxes: Mailboxes, address: str) -> None:
    sender = await mailboxes.owner(ALICE)
    found = await Relaying(OpenDirectory(mailboxes)).route(address, sender)
    assert getattr(found, "address", None) == address or found is Unroutable.NO_SUCH_USER


async def test_every_login_is_valid_and_none_administers(authenticator: OpenAuthenticator) -> None:
    for login in (ALICE, "alice"):
        verdict = await authenticator.validate(login, "anything", Scope.IMAP, CLIENT)
        assert isinstance(verdict, Granted)
        assert verdict.scopes == SCOPES
        assert Scope.ADMIN not in verdict.scopes
        assert verdict.user.address == (login if "@" in login else "alice@localhost")


async def test_an_authorization_identity_is_the_mailbox(authenticator: OpenAuthenticator) -> None:
    verdict = await authenticator.validate("app", "anything", Scope.IMAP, CLIENT, ALICE)
    assert isinstance(verdict, Granted)
    assert verdict.user.address == ALICE


async def test_keys_are_authenticated_as_ever(
    world: MemoryBackend, mailboxes: Mailboxes, authenticator: OpenAuthenticator
) -> None:
    user = await mailboxes.owner(ALICE)
    assert user is not None
    key = (await world.accounts.create_key(user.id, "admin", [Scope.ADMIN])).secret
    verdict = await authenticator.validate_key(key, CLIENT)
    assert isinstance(verdict, Granted)
    assert verdict.scopes == {Scope.ADMIN}
    assert isinstance(await authenticator.validate_key(generate_key(), CLIENT), Denied)


async def test_a_disabled_user_cannot_log_in(
    world: MemoryBackend, mailboxes: Mailboxes, authenticator: OpenAuthenticator
) -> None:
    user = await mailboxes.owner(ALICE)
    assert user is not None
    await world.accounts.set_disabled(user.id, disabled=True)
    assert isinstance(await authenticator.validate(ALICE, "x", Scope.IMAP, CLIENT), Denied)


async def test_own_users_are_accepted_at_the_next_start(world: MemoryBackend, mailboxes: Mailboxes) -> None:
    for number in range(3):
        await mailboxes.owner(f"user{number}@example.test")
    await world.accounts.add_identity(Identity(ISSUER, "half@made.test"))  # the process ended before its address
    await Mailboxes(world.accounts).check_users()
    user = await mailboxes.owner("half@made.test")
    assert user is not None
    assert user.address == "half@made.test"


async def test_users_of_others_are_refused(world: MemoryBackend, mailboxes: Mailboxes) -> None:
    await mailboxes.owner(ALICE)
    await world.add_user("bob@example.org", "key")
    with pytest.raises(ConfigurationError, match="users that the developers' mode has not made"):
        await mailboxes.check_users()


async def test_the_mailbox_of_another_user_is_not_opened(
    world: MemoryBackend, mailboxes: Mailboxes, authenticator: OpenAuthenticator
) -> None:
    await world.add_user("bob@example.org", "key")  # while the developers' mode runs
    assert isinstance(await authenticator.validate("bob@example.org", "x", Scope.IMAP, CLIENT), Denied)
    assert await OpenDirectory(mailboxes).resolve("bob@example.org") is None


async def test_a_user_of_an_issuer_is_another_user(mailboxes: Mailboxes) -> None:
    accounts = MemoryAccountStore()
    await accounts.add_domain("example.test")
    await accounts.add_identity(Identity("https://id.example.org", ALICE), ALICE)
    with pytest.raises(ConfigurationError):
        await Mailboxes(accounts).check_users()
    assert [user.id for user in await accounts.users()] == [UserId(1)]
