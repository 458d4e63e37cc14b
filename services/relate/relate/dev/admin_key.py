"""The key with the scope `admin`, which is valid while the process runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from relate.dev.authenticator import KEY_NAME
from relate.dev.mailboxes import Mailboxes
from relate_accounts.ports import AccountStore
from relate_accounts.types import Scope, UserId
from relate_config import ConfigurationError
from relate_supervisor import Tracing

ADMINISTRATOR = "postmaster"  # the local part of the key's owner


@asynccontextmanager
async def valid_admin_key(
    accounts: AccountStore, mailboxes: Mailboxes, server_name: str, tracing: Tracing
) -> AsyncIterator[str]:
    """Create the key, and revoke it at the end of the block. Raises ConfigurationError, AccountsUnavailable."""
    with tracing.work("relate.dev.create_key"):
        user = await mailboxes.owner(f"{ADMINISTRATOR}@{server_name}")
        if user is None:
            raise ConfigurationError(
                "Smtp__ServerName has to be a host name: logins without a domain are completed by it"
            )
        await _revoke_keys(accounts, user.id)  # of a process that was killed
        key = await accounts.create_key(user.id, KEY_NAME, [Scope.ADMIN])
    try:
        yield key.secret
    finally:
        with tracing.work("relate.dev.revoke_key"):
            await accounts.revoke_key(user.id, key.key.id)


async def _revoke_keys(accounts: AccountStore, user_id: UserId) -> None:
    for key in await accounts.keys(user_id):
        if key.revoked is None and key.name == KEY_NAME:
            await accounts.revoke_key(user_id, key.id)
