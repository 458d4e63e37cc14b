import pytest

from relate_accounts.authenticator import KeyAuthenticator
from relate_accounts.last_used import LastUsedWriter
from tests.unit.accounts.clocks import HandClock
from tests.unit.accounts.pauses import Pauses
from tests.unit.accounts.watched import WatchedStore


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def store() -> WatchedStore:
    return WatchedStore()


@pytest.fixture
def last_used(store: WatchedStore, clock: HandClock) -> LastUsedWriter:
    return LastUsedWriter(store, now=clock.now)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def authenticator(store: WatchedStore, last_used: LastUsedWriter, clock: HandClock, pauses: Pauses) -> KeyAuthenticator:
    return KeyAuthenticator(store, last_used, clock=clock, now=clock.now, pause=pauses)
