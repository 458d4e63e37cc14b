"""The users that the developers' mode makes, on every account store."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from relate.dev.mailboxes import Mailboxes
from relate_accounts.memory import MemoryAccountStore
from relate_accounts.ports import AccountStore
from relate_accounts.sql import SqlAccountStore
from relate_config import ConfigurationError
from relate_mailstore.sql.driver.engine import open_engine

ADDRESSES = [f"user{number}@example.test" for number in range(5)]
REQUESTS_PER_ADDRESS = 8


@pytest.fixture(params=["memory", "sqlite_url", pytest.param("postgres_url", marks=pytest.mark.postgres)])
async def accounts(request: pytest.FixtureRequest) -> AsyncIterator[AccountStore]:
    if request.param == "memory":
        yield MemoryAccountStore()
    else:
        engine = open_engine(request.getfixturevalue(request.param))
        yield SqlAccountStore(engine)
        await engine.dispose()


async def test_concurrent_requests_for_an_address_get_one_user(accounts: AccountStore) -> None:
    mailboxes = Mailboxes(accounts)
    users = await asyncio.gather(*map(mailboxes.owner, ADDRESSES * REQUESTS_PER_ADDRESS))
    assert [user and user.address for user in users] == ADDRESSES * REQUESTS_PER_ADDRESS
    assert len({user.id for user in users if user}) == len(ADDRESSES)
    assert [user.address for user in await accounts.users()] == ADDRESSES


async def test_only_users_of_others_are_refused_at_the_start(accounts: AccountStore) -> None:
    mailboxes = Mailboxes(accounts)
    for address in ADDRESSES:
        await mailboxes.owner(address)
    await mailboxes.check_users()
    await accounts.add_user("alice@example.org")
    with pytest.raises(ConfigurationError):
        await mailboxes.check_users()
