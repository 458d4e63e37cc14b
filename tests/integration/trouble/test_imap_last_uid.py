"""A mailbox whose UIDs are nearly exhausted: the last ones are assigned, then APPEND, COPY and delivery are refused."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from relate_mailstore.identifiers import LAST_UID
from relate_mailstore.sql.driver.engine import open_engine
from tests.integration.trouble.clients import deliver, smtp
from tests.integration.trouble.servers import KEY, MailServers, serve_on_database
from tests.support.imap.client import ImapClient, Literal, logged_in
from tests.support.imap.responses import as_list, as_number, as_pairs

USER = "ann@example.test"
SMALL = b"Subject: x\r\n\r\ntext\r\n"
FULL = ("NO", "LIMIT")


@pytest.fixture
async def servers(database_url: str, certificates: Path) -> AsyncIterator[MailServers]:
    async with serve_on_database(database_url, certificates) as servers:
        await servers.add_user(USER)
        engine = open_engine(database_url)
        async with engine.begin() as connection:
            await connection.execute(text(f"UPDATE mailboxes SET uid_next = {LAST_UID - 1} WHERE name = 'INBOX'"))
        await engine.dispose()
        yield servers


async def refusal(client: ImapClient, *pieces: str | Literal) -> tuple[str, str]:
    answer = await client.ask(*pieces)
    return answer.status, answer.tagged.code_name if answer.tagged else ""


async def test_a_mailbox_is_full_after_the_last_uid(servers: MailServers) -> None:
    async with logged_in(servers.imap, USER, KEY) as client, smtp(servers.mx) as sender:
        for _ in range(2):
            await client.ok("APPEND INBOX ", Literal(SMALL))
        await client.ok("SELECT INBOX")
        assert await refusal(client, "APPEND INBOX ", Literal(SMALL)) == FULL
        assert await refusal(client, "COPY 1 INBOX") == FULL
        assert (await deliver(sender, SMALL, USER))[:3] == b"451"
        await client.ok("COPY 1 Archive")
        await client.ok("STORE 2 FLAGS (\\Seen \\Deleted)")
        await client.ok("EXPUNGE")
        assert await refusal(client, "APPEND INBOX ", Literal(SMALL)) == FULL
        [fetched] = (await client.ok("UID FETCH 1:* UID")).of("FETCH")
        assert as_number(as_pairs(as_list(fetched.values[0]))["UID"]) == LAST_UID - 1
        [status] = (await client.ok("STATUS INBOX (UIDNEXT MESSAGES)")).of("STATUS")
        assert status.values[1] == (b"UIDNEXT", b"4294967295", b"MESSAGES", b"1")
    await servers.serve_neighbour()
