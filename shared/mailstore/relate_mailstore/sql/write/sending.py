"""Counts the recipients elsewhere of accounts, in the transaction that queues their mail, and holds what is too much.

An account has a row per period, which this transaction locks until it commits: so the count is exact, whichever
processes send for the account. The counts of the steps are in the row itself, as JSON, because a statement that has
waited for a lock sees the newest version of the locked row, but other rows as they were before.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, Double, Executable, Integer, Text, bindparam, or_, text, update

from relate_mailstore import sending_rules
from relate_mailstore.queue_types import Excess, Outgoing, SendingLimit
from relate_mailstore.sql.driver.dialects import POSTGRESQL, SQLITE
from relate_mailstore.sql.driver.statements import run
from relate_mailstore.sql.schema.tables import sent_recipients
from relate_mailstore.types import AccountId

# `sending_rules.count` in SQL. JSON is read and made by functions with other names in each dialect.
_ADD = """
INSERT INTO sent_recipients AS sent (account_id, period, counts, told)
SELECT account_id, period, counts, 0 FROM {new_rows} WHERE true
ON CONFLICT (account_id, period) DO UPDATE SET counts = (
    SELECT {make_object} FROM (
        SELECT step, SUM(recipients) AS recipients FROM (
            SELECT CAST(key AS BIGINT) AS step, CAST(value AS BIGINT) AS recipients FROM {read_sent}
            UNION ALL
            SELECT CAST(key AS BIGINT), CAST(value AS BIGINT) FROM {read_excluded}
        ) AS both_counts
        WHERE step > :now - sent.period - sent.period / {steps} AND step <= :now + sent.period / {steps}
        GROUP BY step
    ) AS sums
)
RETURNING account_id, period, counts, told
"""
_WORDS: Mapping[str, Mapping[str, str]] = {
    POSTGRESQL: {
        "new_rows": "json_to_recordset(CAST(:rows AS JSON)) AS new (account_id BIGINT, period INTEGER, counts TEXT)",
        "make_object": "CAST(json_object_agg(step, recipients) AS TEXT)",
        "read_sent": "json_each_text(CAST(sent.counts AS JSON)) AS old (key, value)",
        "read_excluded": "json_each_text(CAST(excluded.counts AS JSON)) AS new (key, value)",
    },
    SQLITE: {
        "new_rows": (
            "(SELECT json_extract(value, '$.account_id') AS account_id, json_extract(value, '$.period') AS period,"
            " json_extract(value, '$.counts') AS counts FROM json_each(:rows)) AS new"
        ),
        "make_object": "json_group_object(step, recipients)",
        "read_sent": "json_each(sent.counts)",
        "read_excluded": "json_each(excluded.counts)",
    },
}


def _add(dialect: str) -> Executable:
    return (
        text(_ADD.format(steps=sending_rules.STEPS, **_WORDS[dialect]))
        .bindparams(bindparam("rows", type_=Text()), bindparam("now", type_=BigInteger()))
        .columns(account_id=BigInteger(), period=Integer(), counts=Text(), told=Double())
    )


_ADD_RECIPIENTS = {dialect: _add(dialect) for dialect in _WORDS}
_TELL = (
    update(sent_recipients)
    .where(
        sent_recipients.c.account_id == bindparam("of_account"),
        sent_recipients.c.period == bindparam("of_period"),
        or_(
            sent_recipients.c.told <= bindparam("before", type_=Double()),
            sent_recipients.c.told > bindparam("after", type_=Double()),
        ),
    )
    .values(told=bindparam("now", type_=Double()))
    .returning(sent_recipients.c.account_id)
)


def count_recipients(connection: Connection, messages: Sequence[Outgoing], now: float) -> Sequence[Excess | None]:
    """Count the recipients of messages that arrive `now`; the excess of each. No statement if none has a limit."""
    added = sending_rules.added(messages)
    if not added:
        return [None] * len(messages)
    rows = [
        {
            "account_id": account_id,
            "period": period,
            "counts": json.dumps({str(sending_rules.step_of(period, now)): recipients}),
        }
        for (account_id, period), recipients in added.items()  # in the order in which rows are locked
    ]
    parameters = {"rows": json.dumps(rows), "now": int(now)}
    counted: Sequence[Any] = run(connection, _ADD_RECIPIENTS[connection.dialect.name], parameters)
    sent = {(AccountId(row.account_id), row.period): sum(json.loads(row.counts).values()) for row in counted}
    told = {(AccountId(row.account_id), row.period): row.told for row in counted}
    return sending_rules.find_excesses(messages, sent, told, now)


def tell(connection: Connection, account_id: AccountId, limit: SendingLimit, now: float) -> bool:
    """Note that the owner of an account is told that its mail is held; False if that is noted in this period."""
    period = limit.period_seconds
    parameters = {
        "of_account": account_id,
        "of_period": period,
        "before": now - period,
        "after": now + period,
        "now": now,
    }
    return bool(run(connection, _TELL, parameters))
