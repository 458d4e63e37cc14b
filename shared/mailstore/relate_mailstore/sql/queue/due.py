"""What is due, destination by destination.

A claim skips along the index of what is due from one destination to the next, so its cost follows the number of
destinations, and neither that of their recipients nor that of recipients that are held.
"""

from typing import Any

from sqlalchemy import Select, func, not_, select
from sqlalchemy.sql.expression import CTE

from relate_mailstore.sql.driver.dialects import one_of, texts
from relate_mailstore.sql.schema.tables import queue_recipients

_IS_DUE_ONCE = queue_recipients.c.due.is_not(None)


def _domains() -> CTE:
    """The destinations that have recipients with a time, ascending, then NULL."""
    first = select(func.min(queue_recipients.c.domain).label("domain")).where(_IS_DUE_ONCE)
    domains = first.cte("domains", recursive=True)
    following = select(func.min(queue_recipients.c.domain)).where(
        queue_recipients.c.domain > domains.c.domain, _IS_DUE_ONCE
    )
    return domains.union_all(select(following.scalar_subquery()).where(domains.c.domain.is_not(None)))


def destinations() -> Select[Any]:
    """Each destination, and when its first recipient is due."""
    domains = _domains()
    first_due = select(func.min(queue_recipients.c.due)).where(
        queue_recipients.c.domain == domains.c.domain, _IS_DUE_ONCE
    )
    return select(domains.c.domain, first_due.scalar_subquery().label("first_due")).where(domains.c.domain.is_not(None))


_DESTINATIONS = destinations().subquery("destinations")

NEXT_DUE = select(func.min(_DESTINATIONS.c.first_due).label("due")).where(
    not_(one_of(_DESTINATIONS.c.domain, texts("except_domains")))
)
