"""Reads what the checks of mail need of the database, which is neither created nor migrated."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import column, func, inspect, select, table
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_accounts.errors import UserNotFound
from relate_accounts.sql import SqlAccountStore
from relate_accounts.types import Domain, DomainKey
from relate_mailstore.queue_types import QueueState
from relate_mailstore.sql.driver.errors import database_errors
from relate_mailstore.sql.schema.tables import queue_recipients

MAX_UNREACHED_DOMAINS = 3

_RUNNERS = table("queue_runners", column("name"), column("beats"))


@dataclass(frozen=True, slots=True)
class Stored:
    """The local domains, the keys of each, the newest first, and the domains that have a postmaster."""

    domains: Sequence[Domain]
    keys: Mapping[str, Sequence[DomainKey]]
    with_postmaster: Collection[str]

    def mail_domains(self, server_name: str = "") -> list[str]:
        """The domains that the DNS can have, without that of this server.

        A postmaster makes the server's own name a domain. It counts only if an administrator has named it, too.
        """
        return [
            each.name
            for each in self.domains
            if "." in each.name and (each.name != server_name or each.added is not None)
        ]

    def without_postmaster(self, server_name: str) -> list[str]:
        """The domains whose postmaster has no address (RFC 5321 §4.5.1)."""
        return [name for name in self.mail_domains(server_name) if name not in self.with_postmaster]


async def read_domains(engine: AsyncEngine) -> Stored:
    """Read the local domains. Raises AccountsUnavailable."""
    accounts = SqlAccountStore(engine)
    domains = await accounts.domains()
    keys = {domain.name: await accounts.domain_keys(domain.name) for domain in domains}
    postmasters = {domain.name for domain in domains if await _has_postmaster(accounts, domain.name)}
    return Stored(domains, keys, postmasters)


async def _has_postmaster(accounts: SqlAccountStore, domain: str) -> bool:
    for address in (f"postmaster@{domain}", f"*@{domain}"):  # the catch-all
        with suppress(UserNotFound):
            await accounts.user_by_address(address)
            return True
    return False


async def read_unreached(engine: AsyncEngine, status: str) -> Sequence[str]:
    """The domains for which mail has waited longest after an attempt with a status. Raises StoreError."""
    waiting = (
        select(queue_recipients.c.domain)
        .where(queue_recipients.c.state == QueueState.QUEUED, queue_recipients.c.status == status)
        .group_by(queue_recipients.c.domain)
        .order_by(func.min(queue_recipients.c.id))
        .limit(MAX_UNREACHED_DOMAINS)
    )
    with database_errors:
        async with engine.connect() as connection:
            return (await connection.scalars(waiting)).all()


async def read_beats(engine: AsyncEngine) -> Mapping[str, int] | None:
    """The beats of each relay by its name; None if this version of the schema has none. Raises StoreError."""
    with database_errors:
        async with engine.connect() as connection:
            if not await connection.run_sync(lambda sync: inspect(sync).has_table(_RUNNERS.name)):
                return None
            return {row.name: row.beats for row in await connection.execute(select(_RUNNERS))}
