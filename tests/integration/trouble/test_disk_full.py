"""Full disks: mail is refused temporarily, can be read and deleted, and is accepted again when there is room."""

import asyncio
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from relate_accounts.authenticator import KeyAuthenticator
from relate_accounts.directory import CachedDirectory
from relate_accounts.last_used import LastUsedWriter
from relate_api.__main__ import serve_api
from relate_api.config import ApiSettings
from relate_mailstore.event_types import EventName, EventQuery
from relate_mailstore.sql.driver.disk_reserve import FREE_SPACE_FACTOR, RESERVED_OCTETS, DiskReserve
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import Delivery, Destination
from relate_service.resources import Resources
from relate_submission.config import SmtpSettings
from relate_telemetry.telemetry import no_telemetry
from tests.integration.api.api_server import EMAILS, HOST, WAIT_SECONDS
from tests.integration.trouble.clients import Client, connected, deliver, pop3, retrieve, retrieve_all, smtp
from tests.integration.trouble.outage import small_disk
from tests.integration.trouble.process_memory import MEGABYTE
from tests.integration.trouble.servers import KEY, NEIGHBOUR, MailServers, nothing_relayed, serve_on_database
from tests.support.factories import uids

DISK_OCTETS = 20 * MEGABYTE
ROOMY_DISK_OCTETS = (FREE_SPACE_FACTOR + 2) * RESERVED_OCTETS  # enough for a reserve
BALLAST_OCTETS = 6 * MEGABYTE
MAX_PAGES = 2_000  # of 4 KB, about 8 MB
BIG = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 14_000  # 1 MB
SMALL = b"Subject: small\r\n\r\ntext\r\n"
MAX_MESSAGES = 100  # more big ones than fit on any of the disks
ROUNDS = 3

STORED, DEFERRED = b"250 2.6.0", b"451 4.3.0"
SIGNED_OFF = b"+OK POP3 server localhost signing off"


@contextmanager
def small_disk_with_database(octets: int, directory: Path, template: Path) -> Iterator[Path]:
    """A small disk with a migrated database on it."""
    directory.mkdir()
    try:
        with small_disk(directory, octets):
            shutil.copy(template, directory / "relate.db")
            yield directory
    except PermissionError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def disk(tmp_path: Path, sqlite_template: Path) -> Iterator[Path]:
    """A disk without room for a reserve, with a file that can be deleted."""
    with small_disk_with_database(DISK_OCTETS, tmp_path / "disk", sqlite_template) as disk:
        (disk / "ballast").write_bytes(bytes(BALLAST_OCTETS))
        yield disk


@pytest.fixture
def roomy_disk(tmp_path: Path, sqlite_template: Path) -> Iterator[Path]:
    """A disk with room for a reserve, until `occupy` fills it."""
    with small_disk_with_database(ROOMY_DISK_OCTETS, tmp_path / "disk", sqlite_template) as disk:
        yield disk


@pytest.fixture
async def servers(disk: Path, certificates: Path) -> AsyncIterator[MailServers]:
    async with serve_on_database(f"sqlite:///{disk / 'relate.db'}", certificates) as servers:
        yield servers


@pytest.fixture
async def roomy_servers(roomy_disk: Path, certificates: Path) -> AsyncIterator[MailServers]:
    async with serve_on_database(f"sqlite:///{roomy_disk / 'relate.db'}", certificates) as servers:
        yield servers


def occupy(disk: Path) -> None:
    """Fill the disk with another program's file."""
    with (disk / "log of another program").open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(MEGABYTE))


def truncate_log(disk: Path) -> None:
    """Checkpoint and truncate the write-ahead log."""
    with closing(sqlite3.connect(disk / "relate.db")) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)


async def fill(client: Client) -> Counter[bytes]:
    """Deliver until neither a big nor a small message fits; counts the replies."""
    replies: Counter[bytes] = Counter()
    for message in (BIG, SMALL):
        before = replies[DEFERRED]
        for _ in range(MAX_MESSAGES):
            if replies[DEFERRED] == before:
                replies[(await deliver(client, message, NEIGHBOUR))[:9]] += 1
    return replies


async def test_on_a_full_disk_mail_is_deferred_and_can_be_read(servers: MailServers, disk: Path) -> None:
    async with smtp(servers.mx) as client:
        replies = await fill(client)
        assert replies.keys() == {STORED, DEFERRED}
        async with pop3(servers.pop3, NEIGHBOUR, KEY) as reader:
            assert (await reader.ask("STAT")).split()[1] == b"%d" % replies[STORED]
            assert (await retrieve(reader, 1)).endswith(BIG)
            (disk / "ballast").unlink()
            assert (await reader.ask_all(["DELE 1", "DELE 2", "QUIT"]))[-1] == SIGNED_OFF
        assert (await deliver(client, BIG, NEIGHBOUR))[:9] == STORED


async def delete_by_pop3(servers: MailServers) -> None:
    async with pop3(servers.pop3, NEIGHBOUR, KEY) as client:
        assert (await client.ask_all(["DELE 1", "DELE 2", "QUIT"]))[-1] == SIGNED_OFF


async def delete_by_imap(servers: MailServers) -> None:
    async with connected(servers.imap) as client:
        await client.line()
        for command in (f"LOGIN {NEIGHBOUR} {KEY}", "SELECT INBOX", r"STORE 1:2 +FLAGS (\Deleted)", "EXPUNGE"):
            await client.send(f"a {command}\r\n".encode())
            while not (line := await client.line()).startswith(b"a "):
                assert line.startswith(b"* ")
            assert line.startswith(b"a OK"), line


async def delete_by_api(servers: MailServers) -> None:
    accounts = servers.accounts
    authenticator = KeyAuthenticator(accounts, LastUsedWriter(accounts))
    directory = CachedDirectory(accounts)
    resources = Resources(no_telemetry(), servers.store, accounts, authenticator, directory, *nothing_relayed())
    headers = {"Authorization": f"Bearer {KEY}"}
    with TemporaryDirectory() as certificates:
        settings = ApiSettings(host=HOST, port=0, secure_port=0, development_certificates=Path(certificates))
        async with (
            serve_api(settings, SmtpSettings(), resources) as ports,
            httpx.AsyncClient(base_url=f"http://{HOST}:{ports.plain}", headers=headers, timeout=WAIT_SECONDS) as client,
        ):
            found = (await client.get(EMAILS, params={"limit": MAX_MESSAGES})).json()["items"]
            for email in sorted(email["id"] for email in found)[:2]:
                assert (await client.delete(f"{EMAILS}/{email}")).status_code == 204


@pytest.mark.parametrize("log_is", ["empty", "not checkpointed", "checkpointed"])
@pytest.mark.parametrize("delete", [delete_by_pop3, delete_by_imap, delete_by_api])
async def test_on_a_full_disk_mail_can_be_deleted(
    roomy_servers: MailServers, roomy_disk: Path, delete: Callable[[MailServers], Awaitable[None]], log_is: str
) -> None:
    async with smtp(roomy_servers.mx) as client:
        count = 5 if log_is == "checkpointed" else 3
        assert {(await deliver(client, BIG, NEIGHBOUR))[:9] for _ in range(count)} == {STORED}
        if log_is == "empty":
            truncate_log(roomy_disk)
        occupy(roomy_disk)
        for _ in range(ROUNDS):
            while (await deliver(client, BIG, NEIGHBOUR))[:9] == STORED:
                count += 1
            await delete(roomy_servers)
            assert (await deliver(client, BIG, NEIGHBOUR))[:9] == STORED
            count -= 1
        async with pop3(roomy_servers.pop3, NEIGHBOUR, KEY) as reader:
            mail = await retrieve_all(reader)
    assert len(mail) == count
    assert all(message.endswith(BIG) for message in mail)
    assert isinstance(roomy_servers.store, SqlMailStore)
    assert len(await roomy_servers.store.events.find(EventQuery(EventName.DELETED))) == 2 * ROUNDS


async def test_mail_is_deferred_while_the_reserve_is_released(roomy_servers: MailServers, roomy_disk: Path) -> None:
    """A killed process has not restored the reserve; the next removal restores it."""
    reserve = DiskReserve(roomy_disk / "relate.db")
    async with smtp(roomy_servers.mx) as client:
        await deliver(client, BIG, NEIGHBOUR)
        await deliver(client, BIG, NEIGHBOUR)
        occupy(roomy_disk)
        os.truncate(reserve.path, 0)
        assert (await deliver(client, SMALL, NEIGHBOUR))[:9] == DEFERRED
        await delete_by_pop3(roomy_servers)
        assert (reserve.octets or 0) >= RESERVED_OCTETS // 2
        assert (await deliver(client, BIG, NEIGHBOUR))[:9] == STORED


async def test_an_expunge_that_exceeds_the_reserve_runs_in_batches(
    roomy_servers: MailServers, roomy_disk: Path, log: list[MutableMapping[str, Any]]
) -> None:
    alice = await roomy_servers.add_user("alice@example.test")
    delivery = Delivery(b"Subject: one of many\r\n\r\n" + bytes(10_000), (Destination(alice),))
    await asyncio.gather(*(roomy_servers.store.deliver(delivery) for _ in range(MAX_MESSAGES)))
    truncate_log(roomy_disk)
    occupy(roomy_disk)
    os.truncate(DiskReserve(roomy_disk / "relate.db").path, RESERVED_OCTETS // 32)
    occupy(roomy_disk)
    mailbox = await roomy_servers.store.mailbox(alice)
    among = uids(*range(1, MAX_MESSAGES + 1))
    assert await roomy_servers.store.expunge(alice, mailbox.id, among) == among
    assert sum(entry["event"] == "disk.full" for entry in log) > 2


async def test_the_reserve_is_restored_when_there_is_room(roomy_servers: MailServers, roomy_disk: Path) -> None:
    reserve = DiskReserve(roomy_disk / "relate.db")
    assert reserve.octets == RESERVED_OCTETS
    occupy(roomy_disk)
    os.truncate(reserve.path, RESERVED_OCTETS // 2)
    (roomy_disk / "log of another program").unlink()
    async with smtp(roomy_servers.mx) as client:
        assert (await deliver(client, BIG, NEIGHBOUR))[:9] == STORED
    assert reserve.octets == RESERVED_OCTETS


async def test_without_the_reserve_mail_cannot_be_deleted_on_a_full_disk(
    roomy_servers: MailServers, roomy_disk: Path
) -> None:
    """The control experiment of the tests above."""
    async with smtp(roomy_servers.mx) as client:
        for _ in range(3):
            await deliver(client, BIG, NEIGHBOUR)
    DiskReserve(roomy_disk / "relate.db").path.unlink()
    occupy(roomy_disk)
    async with pop3(roomy_servers.pop3, NEIGHBOUR, KEY) as client:
        assert (await client.ask_all(["DELE 1", "QUIT"]))[-1].startswith(b"-ERR")


async def test_deleting_frees_pages_in_a_database_of_limited_size(sqlite_url: str, certificates: Path) -> None:
    async with serve_on_database(sqlite_url, certificates, f"max_page_count={MAX_PAGES}") as servers:
        async with smtp(servers.mx) as client:
            assert (await fill(client)).keys() == {STORED, DEFERRED}
            async with pop3(servers.pop3, NEIGHBOUR, KEY) as reader:
                assert (await retrieve(reader, 1)).endswith(BIG)
                assert (await reader.ask_all(["DELE 1", "DELE 2", "QUIT"]))[-1] == SIGNED_OFF
            assert (await deliver(client, BIG, NEIGHBOUR))[:9] == STORED
