"""The requests with an Idempotency-Key by which messages were sent: found before, recorded with the delivery.

The row is written in the transaction of the delivery, so that after a crash the message is sent and the request
answered, or neither.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import BindParameter, Boolean, Connection, Double, Executable, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from relate_mailstore.errors import RequestRepeated
from relate_mailstore.request_rules import RETENTION_SECONDS
from relate_mailstore.sql.driver.database import Database, Transact
from relate_mailstore.sql.driver.dialects import POSTGRESQL, SQLITE
from relate_mailstore.sql.driver.statements import run
from relate_mailstore.sql.schema.tables import answered_requests
from relate_mailstore.types import AccountId, AnsweredRequest, KeyedRequest, MessageId

_EXPIRY: BindParameter[float] = bindparam("expired", type_=Double())
_IS_KEY = (
    answered_requests.c.account_id == bindparam("of_account"),
    answered_requests.c.key_hash == bindparam("of_key"),
)
_FIND = select(answered_requests).where(*_IS_KEY, answered_requests.c.answered > _EXPIRY)
_REPLACED = ("fingerprint", "response", "message_id", "is_held", "answered")


def _record(insert: Any) -> Executable:
    """The INSERT, of either dialect, that returns no row if there is one that has not expired."""
    statement: Executable = insert.on_conflict_do_update(
        index_elements=["account_id", "key_hash"],
        set_={name: insert.excluded[name] for name in _REPLACED},
        where=answered_requests.c.answered <= _EXPIRY,
    ).returning(answered_requests.c.account_id)
    return statement


_RECORD = {
    POSTGRESQL: _record(postgresql.insert(answered_requests)),
    SQLITE: _record(sqlite.insert(answered_requests)),
}
_SET_HELD = update(answered_requests).where(*_IS_KEY).values(is_held=bindparam("held", type_=Boolean()))
_TRIM = (
    delete(answered_requests).where(answered_requests.c.answered <= _EXPIRY).returning(answered_requests.c.account_id)
)


class Requests:
    """The answered requests of a database. `clock` returns seconds since the epoch."""

    def __init__(self, database: Database, transact: Transact, clock: Callable[[], float]) -> None:
        self._database = database
        self._transact = transact
        self._clock = clock

    async def find(self, account_id: AccountId, key_hash: str) -> AnsweredRequest | None:
        """See `MailStore.answered_request`."""
        parameters = {"of_account": account_id, "of_key": key_hash, "expired": self._clock() - RETENTION_SECONDS}
        for row in await self._database.fetch(_FIND, parameters):
            return AnsweredRequest(row.fingerprint, row.response, MessageId(row.message_id), bool(row.is_held))
        return None

    async def trim(self) -> int:
        """Remove the requests that have expired; how many."""
        parameters = {"expired": self._clock() - RETENTION_SECONDS}
        return len(await self._transact(partial(run, statement=_TRIM, parameters=parameters), durable=False))


def record_request(
    connection: Connection, account_id: AccountId, request: KeyedRequest, message_id: MessageId, now: float
) -> None:
    """Record a request within the transaction that delivers its message, after its mailboxes are locked.

    Waits for a transaction that records the same key. Raises RequestRepeated.
    """
    row = {
        "account_id": account_id,
        **request._asdict(),
        "message_id": message_id,
        "is_held": False,
        "answered": now,
        "expired": now - RETENTION_SECONDS,
    }
    if not run(connection, _RECORD[connection.dialect.name], row):
        raise RequestRepeated(f"account {account_id}")


def record_held(connection: Connection, account_id: AccountId, request: KeyedRequest) -> None:
    """Record that the message of a request is held."""
    run(connection, _SET_HELD, {"of_account": account_id, "of_key": request.key_hash, "held": True})
