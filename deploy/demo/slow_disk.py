"""slow-disk: lets each COMMIT that stores mail wait, as it waits for a disk that needs this time to write.

A container cannot slow a disk of its host. A deferred constraint trigger runs within COMMIT, so the wait is where that
for the disk is. Mail waits only while this program is connected: a trigger that it leaves behind does nothing.
"""

import asyncio

import asyncpg
from sqlalchemy import make_url

from deploy.demo.stopping import block_stop_signals, wait_for_stop
from relate.settings import load_command_settings

COMMIT_SECONDS = 0.8
NAME = "demo_slow_disk"
INSTALL = f"""
CREATE OR REPLACE FUNCTION {NAME}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('demo.waited', true) IS DISTINCT FROM 'yes' -- once in a transaction, not for each row
        AND EXISTS (SELECT FROM pg_stat_activity WHERE application_name = '{NAME}')
    THEN
        PERFORM set_config('demo.waited', 'yes', true), pg_sleep({COMMIT_SECONDS});
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS {NAME} ON entries;
CREATE CONSTRAINT TRIGGER {NAME} AFTER INSERT ON entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {NAME}()
"""
REMOVE = f"DROP FUNCTION {NAME} CASCADE"


async def main() -> None:
    """Slow the database until the container is stopped."""
    block_stop_signals()
    url = make_url(load_command_settings().shared.database.default_connection).set(drivername="postgresql")
    connection = await asyncpg.connect(
        url.render_as_string(hide_password=False), server_settings={"application_name": NAME}
    )
    try:
        await connection.execute(INSTALL)
        await asyncio.to_thread(wait_for_stop)
        await connection.execute(REMOVE)
    finally:
        await connection.close()


if __name__ == "__main__":
    asyncio.run(main())
