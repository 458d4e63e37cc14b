"""No room for more mail: it is put off, all else goes on, and when there is room again so does mail."""

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
from relate_api.__main__ import api_served
from relate_api.config import ApiSettings
from relate_mailstore.sql.driver.disk_reserve import RESERVED_OCTETS, SHARE, Reserve
from relate_mailstore.types import Delivery, Destination
from relate_service.resources import Resources
from relate_telemetry.telemetry import no_telemetry
from tests.integration.api.served import EMAILS, HOST, PATIENCE
from tests.integration.trouble.clients import Client, connected, deliver, pop3, retrieve, retrieve_all, smtp
from tests.integration.trouble.outage import small_disk
from tests.integration.trouble.process_memory import MEGABYTE
from tests.integration.trouble.servers import KEY, NEIGHBOUR, MailServers, serve_on_database

DISK = 20 * MEGABYTE
ROOMY_DISK = (SHARE + 2) * RESERVED_OCTETS  # enough for a reserve
BALLAST = 6 * MEGABYTE
PAGES = 2_000  # of 4 KB, about 8 MB
BIG = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 14_000  # 1 MB
SMALL = b"Subject: small\r\n\r\ntext\r\n"
MANY = 100  # big ones never fit
ROUNDS = 3

STORED, PUT_OFF = b"250 2.6.0", b"451 4.3.0"
SIGNED_OFF = b"+OK POP3 server localhost signing off"


@contextmanager
def disk_of(octets: int, directory: Path, template: Path) -> Iterator[Path]:
    """A small one, with a database on it."""
    directory.mkdir()
    try:
        with small_disk(directory, octets):
            shutil.copy(template, directory / "relate.db")
            yield directory
    except PermissionError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def disk(tmp_path: Path, sqlite_template: Path) -> Iterator[Path]:
    """One that has no room for a reserve, but something that can be thrown away."""
    with disk_of(DISK, tmp_path / "disk", sqlite_template) as disk:
        (disk / "ballast").write_bytes(bytes(BALLAST))
        yield disk


@pytest.fixture
def roomy_disk(tmp_path: Path, sqlite_template: Path) -> Iterator[Path]:
    """One that has room, until it is occupied."""
    with disk_of(ROOMY_DISK, tmp_path / "disk", sqlite_template) as disk:
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
    """Somebody else fills the disk."""
    with (disk / "log of somebody else").open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(MEGABYTE))


def shorten_log(disk: Path) -> None:
    """Take SQLite's log into the database, and leave nothing of it."""
    with closing(sqlite3.connect(disk / "relate.db")) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)


async def fill(client: Client) -> Counter[bytes]:
    """Deliver until neither a big nor a small message fits; the replies."""
    replies: Counter[bytes] = Counter()
    for message in (BIG, SMALL):
        before = replies[PUT_OFF]
        for _ in range(MANY):
            if replies[PUT_OFF] == before:
                replies[(await deliver(client, message, NEIGHBOUR))[:9]] += 1
    return replies


async def test_on_a_full_disk_mail_is_put_off_and_read(servers: MailServers, disk: Path) -> None:
    async with smtp(servers.mx) as client:
        replies = await fill(client)
        assert replies.keys() == {STORED, PUT_OFF}
        async with pop3(servers.pop3, NEIGHBOUR, KEY) as reader:
            assert (await reader.ask("STAT")).split()[1] == b"%d" % replies[STORED]
            assert (await retrieve(reader, 1)).endswith(BIG)
            (disk / "ballast").unlink()
            assert (await reader.ask_all(["DELE 1", "DELE 2", "QUIT"]))[-1] == SIGNED_OFF
        assert (await deliver(client, BIG, NEIGHBOUR))[:9] == STORED


async def by_pop3(servers: MailServers) -> None:
    async with pop3(servers.pop3, NEIGHBOUR, KEY) as client:
        assert (await client.ask_all(["DELE 1", "DELE 2", "QUIT"]))[-1] == SIGNED_OFF


async def by_imap(servers: MailServers) -> None:
    async with connected(servers.imap) as client:
        await client.line()
        for command in (f"LOGIN {NEIGHBOUR} {KEY}", "SELECT INBOX", r"STORE 1:2 +FLAGS (\Deleted)", "EXPUNGE"):
            await client.send(f"a {command}\r\n".encode())
            while not (line := await client.line()).startswith(b"a "):
                assert line.startswith(b"* ")
            assert line.startswith(b"a OK"), line


async def by_the_api(servers: MailServers) -> None:
    accounts = servers.accounts
    authenticator = KeyAuthenticator(accounts, LastUsedWriter(accounts))
    resources = Resources(no_telemetry(), servers.store, accounts, authenticator, CachedDirectory(accounts))
    headers = {"Authorization": f"Bearer {KEY}"}
    with TemporaryDirectory() as certificates:
        settings = ApiSettings(host=HOST, port=0, secure_port=0, development_certificates=Path(certificates))
        async with (
            api_served(settings, resources) as ports,
            httpx.AsyncClient(base_url=f"http://{HOST}:{ports.plain}", headers=headers, timeout=PATIENCE) as client,
        ):
            found = (await client.get(EMAILS, params={"limit": MANY})).json()["items"]
            for email in sorted(email["id"] for email in found)[:2]:
                assert (await client.delete(f"{EMAILS}/{email}")).status_code == 204


@pytest.mark.parametrize("log_is", ["empty", "not yet in the database", "in the database"])
@pytest.mark.parametrize("delete", [by_pop3, by_imap, by_the_api])
async def test_on_a_full_disk_mail_can_be_deleted(
    roomy_servers: MailServers, roomy_disk: Path, delete: Callable[[MailServers], Awaitable[None]], log_is: str
) -> None:
    async with smtp(roomy_servers.mx) as client:
        count = 5 if log_is == "in the database" else 3
        assert {(await deliver(client, BIG, NEIGHBOUR))[:9] for _ in range(count)} == {STORED}
        if log_is == "empty":
            shorten_log(roomy_disk)
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


async def test_while_the_reserve_is_given_up_mail_is_put_off(roomy_servers: MailServers, roomy_disk: Path) -> None:
    """A process was killed before it took it back; the next removal does."""
    reserve = Reserve(roomy_disk / "relate.db")
    async with smtp(roomy_servers.mx) as client:
        await deliver(client, BIG, NEIGHBOUR)
        await deliver(client, BIG, NEIGHBOUR)
        occupy(roomy_disk)
        os.truncate(reserve.path, 0)
        assert (await deliver(client, SMALL, NEIGHBOUR))[:9] == PUT_OFF
        await by_pop3(roomy_servers)
        assert (reserve.octets or 0) >= RESERVED_OCTETS // 2
        assert (await deliver(client, BIG, NEIGHBOUR))[:9] == STORED


async def test_more_mail_than_the_reserve_can_remove_at_once_is_removed_bit_by_bit(
    roomy_servers: MailServers, roomy_disk: Path, log: list[MutableMapping[str, Any]]
) -> None:
    alice = await roomy_servers.add_user("alice@example.test")
    delivery = Delivery(b"Subject: one of many\r\n\r\n" + bytes(10_000), (Destination(alice),))
    await asyncio.gather(*(roomy_servers.store.deliver(delivery) for _ in range(MANY)))
    shorten_log(roomy_disk)
    occupy(roomy_disk)
    os.truncate(Reserve(roomy_disk / "relate.db").path, RESERVED_OCTETS // 32)
    occupy(roomy_disk)
    mailbox = await roomy_servers.store.mailbox(alice)
    uids = range(1, MANY + 1)
    assert await roomy_servers.store.expunge(alice, mailbox.id, uids) == list(uids)
    assert sum(entry["event"] == "disk.full" for entry in log) > 2


async def test_when_there_is_room_again_the_reserve_is_whole(roomy_servers: MailServers, roomy_disk: Path) -> None:
    reserve = Reserve(roomy_disk / "relate.db")
    assert reserve.octets == RESERVED_OCTETS
    occupy(roomy_disk)
    os.truncate(reserve.path, RESERVED_OCTETS // 2)
    (roomy_disk / "log of somebody else").unlink()
    async with smtp(roomy_servers.mx) as client:
        assert (await deliver(client, BIG, NEIGHBOUR))[:9] == STORED
    assert reserve.octets == RESERVED_OCTETS


async def test_without_its_reserve_a_full_disk_keeps_its_mail(roomy_servers: MailServers, roomy_disk: Path) -> None:
    """The control of the tests above: it is the reserve that makes the difference."""
    async with smtp(roomy_servers.mx) as client:
        for _ in range(3):
            await deliver(client, BIG, NEIGHBOUR)
    Reserve(roomy_disk / "relate.db").path.unlink()
    occupy(roomy_disk)
    async with pop3(roomy_servers.pop3, NEIGHBOUR, KEY) as client:
        assert (await client.ask_all(["DELE 1", "QUIT"]))[-1].startswith(b"-ERR")


async def test_in_a_database_that_may_not_grow_deleting_makes_room(sqlite_url: str, certificates: Path) -> None:
    async with serve_on_database(sqlite_url, certificates, f"max_page_count={PAGES}") as servers:
        async with smtp(servers.mx) as client:
            assert (await fill(client)).keys() == {STORED, PUT_OFF}
            async with pop3(servers.pop3, NEIGHBOUR, KEY) as reader:
                assert (await retrieve(reader, 1)).endswith(BIG)
                assert (await reader.ask_all(["DELE 1", "DELE 2", "QUIT"]))[-1] == SIGNED_OFF
            assert (await deliver(client, BIG, NEIGHBOUR))[:9] == STORED
