"""A mailbox whose UIDs are nearly used up: the last ones are given out, then it is full, and all else goes on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from relate_mailstore.identifiers import LAST_UID
from relate_mailstore.sql.driver.engine import open_engine
from tests.integration.trouble.clients import deliver, smtp
from tests.integration.trouble.house import KEY, House, on_database
from tests.support.imap.client import ImapClient, Literal, logged_in
from tests.support.imap.responses import as_list, as_number, as_pairs

USER = "ann@example.test"
SMALL = b"Subject: x\r\n\r\ntext\r\n"
FULL = ("NO", "LIMIT")


@pytest.fixture
async def house(database_url: str, certificates: Path) -> AsyncIterator[House]:
    async with on_database(database_url, certificates) as house:
        await house.add_user(USER)
        engine = open_engine(database_url)
        async with engine.begin() as connection:
            await connection.execute(text(f"UPDATE mailboxes SET uid_next = {LAST_UID - 1} WHERE name = 'INBOX'"))
        await engine.dispose()
        yield house


async def refusal(client: ImapClient, *pieces: str | Literal) -> tuple[str, str]:
    answer = await client.ask(*pieces)
    return answer.status, answer.tagged.code_name if answer.tagged else ""


async def test_the_last_uids_are_given_out_and_then_the_mailbox_is_full(house: House) -> None:
    async with logged_in(house.imap, USER, KEY) as client, smtp(house.mx) as sender:
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
    await house.serve_neighbour()
