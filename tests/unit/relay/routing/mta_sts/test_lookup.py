"""Which policy applies to a domain (RFC 8461 §3.3, §5.1)."""

import asyncio

import pytest

from relate_outbound.dns.ports import DnsFault
from relate_relay.routing.mta_sts import Lookup, MemoryPolicyStore, Mode, MtaSts, Policy, StsFault
from relate_relay.routing.mta_sts.lookup import REFRESH_SECONDS, RETRY_SECONDS
from tests.support.fake_dns import FakeDns

DOMAIN = "example.test"
RECORD = f"_mta-sts.{DOMAIN}"
WEEK_SECONDS = 604_800
OLD = Policy(Mode.ENFORCE, ("old.example.test",), WEEK_SECONDS)
NEW = Policy(Mode.TESTING, ("new.example.test",), WEEK_SECONDS)


class Fetcher:
    """Returns what the test sets; counts fetches."""

    def __init__(self) -> None:
        self.result: Policy | StsFault = OLD
        self.fetched: list[str] = []
        self.released = asyncio.Event()
        self.released.set()

    async def fetch(self, domain: str) -> Policy | StsFault:
        self.fetched.append(domain)
        await self.released.wait()
        return self.result


class Sender:
    """MTA-STS with a clock, a DNS and a policy host that the test sets."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0
        self.dns = FakeDns(txt={RECORD: [b"v=STSv1; id=1"]})
        self.fetcher = Fetcher()
        self.store = MemoryPolicyStore()
        self.sts = MtaSts(
            self.dns, self.fetcher, self.store, clock=lambda: self.seconds, monotonic=lambda: self.seconds
        )

    def announce(self, record: bytes | DnsFault) -> None:
        self.dns.texts[RECORD] = record if isinstance(record, DnsFault) else [record]

    async def find(self) -> Lookup:
        return await self.sts.find(DOMAIN)


async def test_a_domain_without_a_record_has_no_policy_and_is_not_fetched() -> None:
    sender = Sender()
    for fault in (DnsFault.NXDOMAIN, DnsFault.NO_DATA, DnsFault.SERVFAIL, DnsFault.TIMEOUT):
        sender.announce(fault)
        assert await sender.find() == Lookup()
    sender.announce(b"v=STSv1; malformed")
    assert await sender.find() == Lookup()
    assert sender.fetcher.fetched == []


async def test_an_address_literal_has_no_policy() -> None:
    sender = Sender()
    sender.dns.texts["_mta-sts.[192.0.2.1]"] = [b"v=STSv1; id=1"]
    assert await sender.sts.find("[192.0.2.1]") == Lookup()


async def test_an_announced_policy_is_fetched_once() -> None:
    sender = Sender()
    assert await sender.find() == Lookup(OLD)
    assert await sender.find() == Lookup(OLD)
    assert sender.fetcher.fetched == [DOMAIN]


async def test_a_subdomain_does_not_inherit_a_policy() -> None:
    """§3.4"""
    sender = Sender()
    assert await sender.sts.find(f"sub.{DOMAIN}") == Lookup()


async def test_a_new_id_refreshes_the_policy() -> None:
    sender = Sender()
    await sender.find()
    sender.announce(b"v=STSv1; id=2")
    sender.fetcher.result = NEW
    assert await sender.find() == Lookup(NEW)
    assert await sender.find() == Lookup(NEW)
    assert len(sender.fetcher.fetched) == 2


@pytest.mark.parametrize("fault", StsFault)
async def test_a_failed_refresh_keeps_the_cached_policy_until_it_expires(fault: StsFault) -> None:
    sender = Sender()
    await sender.find()
    sender.announce(b"v=STSv1; id=2")
    sender.fetcher.result = fault
    sender.seconds += WEEK_SECONDS - 1
    assert await sender.find() == Lookup(OLD, fault)
    sender.seconds += 1
    assert await sender.find() == Lookup(None, fault)


@pytest.mark.parametrize("fault", [DnsFault.NXDOMAIN, DnsFault.SERVFAIL, DnsFault.TIMEOUT])
async def test_a_record_that_disappears_keeps_the_cached_policy_until_it_expires(fault: DnsFault) -> None:
    """§5.1: an attacker who blocks the DNS must not disable the policy."""
    sender = Sender()
    await sender.find()
    sender.announce(fault)
    sender.seconds += WEEK_SECONDS - 1
    assert await sender.find() == Lookup(OLD)
    sender.seconds += 1
    assert await sender.find() == Lookup()
    assert len(sender.fetcher.fetched) == 1


async def test_a_policy_of_mode_none_replaces_the_cached_one() -> None:
    """§2.2 and §8.3: a domain withdraws its policy by another one."""
    sender = Sender()
    await sender.find()
    sender.announce(b"v=STSv1; id=2")
    sender.fetcher.result = Policy(Mode.NONE, (), WEEK_SECONDS)
    assert await sender.find() == Lookup(sender.fetcher.result)


@pytest.mark.parametrize("fault", StsFault)
async def test_without_a_cached_policy_a_failed_fetch_leaves_none(fault: StsFault) -> None:
    """§3.3: mail is delivered as if the domain had no policy."""
    sender = Sender()
    sender.fetcher.result = fault
    assert await sender.find() == Lookup(None, fault)


async def test_a_failed_fetch_is_not_repeated_at_once() -> None:
    """§3.3: at most once in five minutes per version."""
    sender = Sender()
    sender.fetcher.result = StsFault.FETCH_ERROR
    await sender.find()
    sender.fetcher.result = OLD
    sender.seconds += RETRY_SECONDS - 1
    assert await sender.find() == Lookup(None, StsFault.FETCH_ERROR)
    sender.seconds += 1
    assert await sender.find() == Lookup(OLD)
    assert len(sender.fetcher.fetched) == 2


async def test_another_version_is_fetched_at_once_after_a_failure() -> None:
    sender = Sender()
    sender.fetcher.result = StsFault.INVALID
    await sender.find()
    sender.announce(b"v=STSv1; id=2")
    sender.fetcher.result = NEW
    assert await sender.find() == Lookup(NEW)


async def test_an_unchanged_policy_is_refreshed_once_a_day() -> None:
    sender = Sender()
    for _ in range(10):  # longer than max_age
        assert await sender.find() == Lookup(OLD)
        sender.seconds += REFRESH_SECONDS
    assert len(sender.fetcher.fetched) == 10


async def test_a_policy_from_the_future_is_refreshed() -> None:
    """The clock was set back."""
    sender = Sender()
    await sender.find()
    sender.seconds -= 1_000
    sender.fetcher.result = NEW
    assert await sender.find() == Lookup(NEW)


async def test_a_policy_that_expires_at_once_does_not_apply() -> None:
    sender = Sender()
    sender.fetcher.result = Policy(Mode.ENFORCE, ("old.example.test",), 0)
    assert await sender.find() == Lookup()


async def test_concurrent_lookups_share_one_fetch() -> None:
    sender = Sender()
    sender.fetcher.released.clear()
    lookups = [asyncio.create_task(sender.find()) for _ in range(5)]
    while not sender.fetcher.fetched:
        await asyncio.sleep(0)
    sender.fetcher.released.set()
    assert await asyncio.gather(*lookups) == [Lookup(OLD)] * 5
    assert len(sender.fetcher.fetched) == 1


async def test_close_ends_the_pending_fetch() -> None:
    sender = Sender()
    sender.fetcher.released.clear()
    lookup = asyncio.create_task(sender.find())
    while not sender.fetcher.fetched:
        await asyncio.sleep(0)
    await sender.sts.close()
    with pytest.raises(asyncio.CancelledError):
        await lookup
