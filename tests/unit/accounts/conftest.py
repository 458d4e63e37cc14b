import pytest

from relate_accounts.authenticator import KeyAuthenticator
from relate_accounts.last_used import LastUsedWriter
from tests.unit.accounts.clocks import HandClock
from tests.unit.accounts.fake_sleep import FakeSleep
from tests.unit.accounts.gated_store import GatedStore


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def store() -> GatedStore:
    return GatedStore()


@pytest.fixture
def last_used(store: GatedStore, clock: HandClock) -> LastUsedWriter:
    return LastUsedWriter(store, now=clock.now)


@pytest.fixture
def fake_sleep() -> FakeSleep:
    return FakeSleep()


@pytest.fixture
def authenticator(
    store: GatedStore, last_used: LastUsedWriter, clock: HandClock, fake_sleep: FakeSleep
) -> KeyAuthenticator:
    return KeyAuthenticator(store, last_used, clock=clock, now=clock.now, sleep=fake_sleep)
