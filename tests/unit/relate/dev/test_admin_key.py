"""How long the key of the developers' mode with the scope `admin` is valid."""

from contextlib import AbstractAsyncContextManager

import pytest

from relate.dev.admin_key import valid_admin_key
from relate.dev.mailboxes import Mailboxes
from relate_accounts.authenticator import KeyAuthenticator
from relate_accounts.last_used import LastUsedWriter
from relate_accounts.types import Granted, Scope
from relate_config import ConfigurationError
from relate_supervisor import NoTracing
from tests.support.memory_backend import MemoryBackend

CLIENT = "192.0.2.1"


class Key:
    """The key on memory stores."""

    def __init__(self) -> None:
        self.world = MemoryBackend()
        self.mailboxes = Mailboxes(self.world.accounts)

    def valid(self, server_name: str = "localhost") -> AbstractAsyncContextManager[str]:
        return valid_admin_key(self.world.accounts, self.mailboxes, server_name, NoTracing())

    async def scopes(self, secret: str) -> frozenset[Scope] | None:
        """The scopes of a key; None if it is not valid. As another process sees it, which has no cached login."""
        accounts = self.world.accounts
        verdict = await KeyAuthenticator(accounts, LastUsedWriter(accounts)).validate_key(secret, CLIENT)
        return verdict.scopes if isinstance(verdict, Granted) else None


async def test_it_is_valid_until_the_process_ends() -> None:
    key = Key()
    async with key.valid() as secret:
        assert await key.scopes(secret) == frozenset({Scope.ADMIN})
    assert await key.scopes(secret) is None


async def test_it_is_revoked_after_an_error() -> None:
    key, secret = Key(), ""
    with pytest.raises(OSError, match="the port is taken"):
        async with key.valid() as secret:
            raise OSError("the port is taken")
    assert secret
    assert await key.scopes(secret) is None


async def test_that_of_a_killed_process_is_revoked_at_the_next_start() -> None:
    key = Key()
    killed = key.valid()
    secret = await killed.__aenter__()
    async with key.valid():
        assert await key.scopes(secret) is None


async def test_the_name_of_the_server_has_to_be_a_domain() -> None:
    with pytest.raises(ConfigurationError, match="Smtp__ServerName"):
        async with Key().valid("[192.0.2.1]"):
            pytest.fail("the block ran")
