"""Finds users of the developers' mode in the database of a server that is not in it.

Anybody could make keys of these users without a password, and the keys are valid in production, too.
"""

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from relate.dev.mailboxes import ISSUER
from relate_accounts.schema import oidc_identities
from relate_config import ConfigurationError
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.driver.errors import database_errors

FOUND = "the developers' mode has made users in this database, of whom anybody may have keys"
REMEDY = "use another database (ConnectionStrings__DefaultConnection)"


async def has_made_users(connection: AsyncConnection) -> bool:
    """Whether there is such a user; one look at an index. The schema has to be the latest."""
    found = await connection.scalar(select(exists().where(oidc_identities.c.issuer == ISSUER)))
    return bool(found)


async def refuse_made_users(url: str) -> None:
    """Raise ConfigurationError if the database at a URL has such a user. Raises StoreUnavailable."""
    engine = open_engine(url)
    try:
        with database_errors:
            async with engine.connect() as connection:
                if await has_made_users(connection):
                    raise ConfigurationError(f"{FOUND}: {REMEDY}")
    finally:
        await engine.dispose()
