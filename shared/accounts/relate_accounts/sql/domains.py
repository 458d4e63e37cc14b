"""Local domains, and the public halves of their DKIM keys."""

import json
from collections.abc import Sequence

from sqlalchemy import bindparam, delete, func, select, union_all

from relate_accounts.addresses import canonical_domain
from relate_accounts.errors import InvalidAddress, SelectorExists
from relate_accounts.schema import addresses, domain_keys, domains
from relate_accounts.sql.database import AccountsDatabase
from relate_accounts.types import Domain, DomainKey

HAS_DOMAIN = union_all(
    select(domains.c.name).where(domains.c.name == bindparam("domain")),
    select(addresses.c.domain).where(addresses.c.domain == bindparam("domain"), addresses.c.verified),
).limit(1)
_ADDRESSES_BY_DOMAIN = (
    select(addresses.c.domain, func.count().label("addresses")).where(addresses.c.verified).group_by(addresses.c.domain)
)
_DOMAIN_KEYS = (
    select(domain_keys)
    .where(domain_keys.c.domain == bindparam("domain"))
    .order_by(domain_keys.c.created.desc(), domain_keys.c.selector.desc())
)


class SqlDomains(AccountsDatabase):
    """The domains of `AccountStore`."""

    async def has_domain(self, domain: str) -> bool:
        """See `ports.AccountStore`."""
        try:
            return bool(await self._read(HAS_DOMAIN, domain=canonical_domain(domain)))
        except InvalidAddress:
            return False

    async def add_domain(self, domain: str) -> str:
        """See `ports.AccountStore`."""
        name = canonical_domain(domain)
        async with self._transaction() as connection:
            await connection.execute(self._insert_once(domains), {"name": name, "added": self._now()})
        return name

    async def domains(self) -> Sequence[Domain]:
        """See `ports.AccountStore`."""
        added = {row.name: row.added for row in await self._read(select(domains))}
        counts = {row.domain: row.addresses for row in await self._read(_ADDRESSES_BY_DOMAIN)}
        return [Domain(name, added.get(name), counts.get(name, 0)) for name in sorted(added.keys() | counts.keys())]

    async def add_domain_key(self, key: DomainKey) -> None:
        """See `ports.AccountStore`."""
        row = {
            "domain": canonical_domain(key.domain),
            "selector": key.selector,
            "records": json.dumps(dict(key.records)),
            "created": self._now(),
        }
        async with self._transaction() as connection:
            added = await connection.execute(self._insert_once(domain_keys), row)
        if not added.rowcount:
            raise SelectorExists

    async def remove_domain_key(self, domain: str, selector: str) -> None:
        """See `ports.AccountStore`."""
        named = (domain_keys.c.domain == canonical_domain(domain)) & (domain_keys.c.selector == selector)
        async with self._transaction() as connection:
            await connection.execute(delete(domain_keys).where(named))

    async def domain_keys(self, domain: str) -> Sequence[DomainKey]:
        """See `ports.AccountStore`."""
        try:
            rows = await self._read(_DOMAIN_KEYS, domain=canonical_domain(domain))
        except InvalidAddress:
            return []
        return [DomainKey(row.domain, row.selector, json.loads(row.records), row.created) for row in rows]
