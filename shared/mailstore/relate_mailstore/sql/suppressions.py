"""`SqlSuppressions`: the suppression list, which deliveries and results of attempts add to in their own transaction.

Rows are inserted in the order of their addresses, after all other locks are taken, so that no deadlock can arise.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

from sqlalchemy import BindParameter, Connection, Double, Integer, bindparam, delete, or_, select

from relate_mailstore.sql.driver.coalesce import Coalescer
from relate_mailstore.sql.driver.database import Database, Transact
from relate_mailstore.sql.driver.dialects import insert_or_update, one_of, texts
from relate_mailstore.sql.driver.statements import run, run_many
from relate_mailstore.sql.schema.rows import storable
from relate_mailstore.sql.schema.tables import suppressions
from relate_mailstore.suppression_types import Suppression, SuppressionSource

_NOW: BindParameter[float] = bindparam("now", type_=Double())
_IS_VALID = or_(suppressions.c.expires.is_(None), suppressions.c.expires > _NOW)
_FIND = select(suppressions).where(one_of(suppressions.c.address, texts("addresses")), _IS_VALID)
_PAGE = (
    select(suppressions)
    .where(suppressions.c.address > bindparam("after"), _IS_VALID)
    .order_by(suppressions.c.address)
    .limit(bindparam("limit", type_=Integer()))
)
_SET = insert_or_update(suppressions, "address")
# An operator's entry does not expire because the address bounces as well.
_ADD = insert_or_update(suppressions, "address", where=suppressions.c.expires.is_not(None))
_REMOVE = (
    delete(suppressions)
    .where(suppressions.c.address == bindparam("address"), _IS_VALID)
    .returning(suppressions.c.address)
)
# Rows that a transaction is renewing are left to it.
_EXPIRED = select(suppressions.c.address).where(suppressions.c.expires <= _NOW).with_for_update(skip_locked=True)
_TRIM = delete(suppressions).where(suppressions.c.address.in_(_EXPIRED)).returning(suppressions.c.address)


class SqlSuppressions:
    """`Suppressions` on a database. `clock` returns seconds since the epoch."""

    def __init__(self, database: Database, transact: Transact, clock: Callable[[], float]) -> None:
        self._database = database
        self._transact = transact
        self._clock = clock
        self._find = Coalescer(self._find_all)

    async def close(self) -> None:
        """Wait for the running queries."""
        await self._find.close()

    async def find(self, addresses: Collection[str]) -> Mapping[str, Suppression]:
        """The entries of these addresses; concurrent attempts share a query."""
        return await self._find(addresses) if addresses else {}

    async def page(self, limit: int, after: str = "") -> Sequence[Suppression]:
        """The entries after an address."""
        rows = await self._database.fetch(_PAGE, {"limit": limit, "after": after, "now": self._clock()})
        return [*map(_parse, rows)]

    async def add(self, suppression: Suppression) -> None:
        """Add an entry, or replace it."""
        await self._transact(partial(_store, statements=_SET, entries=[suppression]))

    async def remove(self, address: str) -> bool:
        """Remove an entry."""
        removed = await self._transact(
            partial(run, statement=_REMOVE, parameters={"address": address, "now": self._clock()})
        )
        return bool(removed)

    async def trim(self) -> int:
        """Remove the entries that have expired; how many."""
        return len(
            await self._transact(partial(run, statement=_TRIM, parameters={"now": self._clock()}), durable=False)
        )

    async def _find_all(self, requests: Sequence[Collection[str]]) -> Sequence[Mapping[str, Suppression]]:
        addresses = {address for request in requests for address in request}
        rows = await self._database.fetch(_FIND, {"addresses": addresses, "now": self._clock()})
        found = {row.address: _parse(row) for row in rows}
        return [{address: found[address] for address in request if address in found} for request in requests]


def suppress(connection: Connection, entries: Collection[Suppression]) -> None:
    """Add entries within a transaction, as its last change. One of an operator remains as it is."""
    if entries:
        _store(connection, _ADD, entries)


def _store(connection: Connection, statements: Mapping[str, Any], entries: Collection[Suppression]) -> None:
    rows = [_row(each) for each in sorted(entries, key=attrgetter("address"))]
    run_many(connection, statements[connection.dialect.name], rows)


def _row(entry: Suppression) -> dict[str, object]:
    return {
        "address": storable(entry.address),
        "source": entry.source.value,
        "added": entry.added,
        "expires": entry.expires,
        "status": storable(entry.status),
        "text": storable(entry.text),
    }


def _parse(row: Any) -> Suppression:
    return Suppression(row.address, SuppressionSource(row.source), row.added, row.expires, row.status, row.text)
