"""The DKIM keys of a message: of its only author's domain, which must be the sender's."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from relate_accounts.memory import MemoryAccountStore
from relate_accounts.types import DomainKey
from relate_relay.dkim.key_directory import KeyDirectory
from relate_relay.dkim.keys import SigningKeys
from relate_relay.dkim.signing_keys import FRESH_SECONDS, DomainKeySource, Unsigned, author_domain

RAW = b"From: Ann <ann@here.test>\r\n\r\ntext\r\n"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("header", "domain"),
    [
        ("From: ann@Here.test", "here.test"),
        ('from: "Ann, A." <ann@here.test>', "here.test"),
        ("From: Ann\r\n <ann@b\u00fccher.example>", "xn--bcher-kva.example"),
        ("From: ann@here.test, bob@there.test", None),
        ("From: ann@here.test\r\nFrom: bob@there.test", None),
        ("Sender: ann@here.test\r\nFrom: bob@there.test", "there.test"),
        ("From: nothing", None),
        ("Subject: x", None),
        ("Subject: x\r\n\r\nFrom: ann@here.test", None),
    ],
)
def test_the_domain_of_the_only_author(header: str, domain: str | None) -> None:
    assert author_domain(f"{header}\r\n\r\n".encode()) == domain


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory(tmp_path: Path) -> KeyDirectory:
    return KeyDirectory(tmp_path / "keys")


@pytest.fixture
def accounts() -> MemoryAccountStore:
    return MemoryAccountStore()


def selector_of(keys: SigningKeys | None) -> str | None:
    return None if keys is None else keys.rsa.selector


async def test_the_newest_selector_signs_and_is_seen_soon(
    accounts: MemoryAccountStore, directory: KeyDirectory, clock: Clock
) -> None:
    source = DomainKeySource(accounts, directory, clock)
    assert await source.find(RAW, "ann@here.test") is None
    for selector in ("old", "new"):
        directory.generate("here.test", selector)
        await accounts.add_domain_key(DomainKey("here.test", selector, {}))
    assert await source.find(RAW, "ann@here.test") is None  # cached
    clock.now += FRESH_SECONDS
    assert selector_of(await source.find(RAW, "ann@here.test")) == "new"
    directory.path.joinpath("new._domainkey.here.test").unlink()
    clock.now += FRESH_SECONDS
    assert selector_of(await source.find(RAW, "ann@here.test")) == "old"  # better than none


@pytest.mark.parametrize("sender", ["", "bob@there.test", "ann@sub.here.test"])
async def test_another_domains_sender_is_not_signed_for(
    accounts: MemoryAccountStore, directory: KeyDirectory, clock: Clock, sender: str
) -> None:
    directory.generate("here.test", "s")
    await accounts.add_domain_key(DomainKey("here.test", "s", {}))
    assert await DomainKeySource(accounts, directory, clock).find(RAW, sender) is None


async def test_why_a_message_is_sent_unsigned_is_told_for_each_message(
    accounts: MemoryAccountStore, directory: KeyDirectory, clock: Clock
) -> None:
    told: list[Unsigned] = []
    source = DomainKeySource(accounts, directory, clock, told.append)
    for _ in range(2):  # the second time from the cache
        await source.find(RAW, "ann@here.test")
    assert told == [Unsigned.NO_KEY] * 2
    await accounts.add_domain_key(DomainKey("here.test", "s", {}))  # without a file
    clock.now += FRESH_SECONDS
    await source.find(RAW, "ann@here.test")
    assert told.pop() is Unsigned.KEY_UNUSABLE
    directory.generate("here.test", "s")
    clock.now += FRESH_SECONDS
    assert await source.find(RAW, "ann@here.test") is not None
    assert await source.find(RAW.replace(b"here.test", b"there.test"), "ann@here.test") is None
    assert told == [Unsigned.NO_KEY, Unsigned.NO_KEY, Unsigned.OTHER_AUTHOR]


class Counting(MemoryAccountStore):
    """Counts the questions for keys, and answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.questions = 0
        self.answering = asyncio.Event()

    async def domain_keys(self, domain: str) -> Sequence[DomainKey]:
        self.questions += 1
        await self.answering.wait()
        return await super().domain_keys(domain)


async def test_attempts_at_the_same_time_read_the_keys_once(directory: KeyDirectory, clock: Clock) -> None:
    accounts = Counting()
    directory.generate("here.test", "s")
    await accounts.add_domain_key(DomainKey("here.test", "s", {}))
    source = DomainKeySource(accounts, directory, clock)
    async with asyncio.TaskGroup() as group:
        finds = [group.create_task(source.find(RAW, "ann@here.test")) for _ in range(20)]
        group.create_task(_answer(accounts))
    assert [selector_of(find.result()) for find in finds] == ["s"] * 20
    assert accounts.questions == 1


async def _answer(accounts: Counting) -> None:
    accounts.answering.set()
