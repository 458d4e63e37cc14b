"""Demo traffic: so many visits a second of people made for it, until stopped; `clients` has the visits.

The people stay, with their mail, from one run to the next. Their keys do not: a run makes its own, and revokes them.
"""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import cycle
from random import Random
from threading import Event, Semaphore

import structlog

from relate.admin import Backend, opened
from relate.demo.clients import MISTAKES, VISITS, Person, Place, Visit
from relate.settings import Settings
from relate_accounts.errors import UserNotFound
from relate_accounts.types import Scope, User
from relate_mailstore.types import AccountId

log = structlog.get_logger(__name__)

PEOPLE = ("ann", "ben", "cleo", "dan", "eva")
DOMAIN = "demo.example.test"
KEY_NAME = "traffic"
SCOPES = (Scope.SMTP, Scope.POP3, Scope.IMAP, Scope.API_READ, Scope.API_WRITE)

VISITORS = 32  # at once: when all are busy the next ones stay away, so that a slow server is not flooded
MISTAKE_SECONDS = (
    5.0  # between two wrong logins, at least: beyond twenty, and one in six seconds, they are answered late
)
REPORT_SECONDS = 60.0


async def run(settings: Settings, place: Place, rate: float) -> None:
    """Visit until `place.closing` is set, as it is by SIGTERM and SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, place.closing.set)
    async with _people(settings) as people:
        await asyncio.to_thread(_Traffic(place, people).flow, rate)


class _Traffic:
    """The visits of one run."""

    def __init__(self, place: Place, people: Collection[Person]) -> None:
        self._place = place
        self._people = list(people)
        self._random = Random()  # noqa: S311 - chance, not a secret
        self._free = Semaphore(VISITORS)
        self._begun: Counter[str] = Counter()
        self._mistakes = cycle(MISTAKES)
        self._next_mistake = self._next_report = 0.0

    def flow(self, rate: float) -> None:
        """Begin visits, as many a second as `rate` says on average, until it is closing time; then let them end."""
        with ThreadPoolExecutor(VISITORS) as visitors:
            while not self._place.closing.wait(self._random.expovariate(rate)):
                if self._free.acquire(blocking=False):
                    visit = self._choose()
                    self._begun[visit.__name__] += 1
                    visitors.submit(self._visit, visit, self._random.choice(self._people))
                self._report()
        log.info("demo ended", **self._begun)

    def _choose(self) -> Visit:
        now = time.monotonic()
        if now < self._next_mistake:
            return self._random.choices(list(VISITS), list(VISITS.values()))[0]
        self._next_mistake = now + MISTAKE_SECONDS
        return next(self._mistakes)

    def _visit(self, visit: Visit, person: Person) -> None:
        try:
            visit(self._place, person, Random())  # noqa: S311 - as above
        except Exception as error:  # noqa: BLE001 - whatever it was, the next visitor tries again
            log.warning("visit failed", visit=visit.__name__, error=f"{type(error).__name__}: {error}")
        finally:
            self._free.release()

    def _report(self) -> None:
        now = time.monotonic()
        if now >= self._next_report:
            self._next_report = now + REPORT_SECONDS
            log.info("demo", **self._begun)


@asynccontextmanager
async def _people(settings: Settings) -> AsyncIterator[list[Person]]:
    """Everybody, with keys that are good inside."""
    async with opened(settings) as backend:
        people = [await _person(backend, f"{name}@{DOMAIN}") for name in PEOPLE]
    try:
        yield people
    finally:
        async with opened(settings) as backend:
            for person in people:
                await _revoke_keys(backend, await backend.accounts.user_by_address(person.address))


async def _person(backend: Backend, address: str) -> Person:
    try:
        user = await backend.accounts.user_by_address(address)
        await _revoke_keys(backend, user)  # of a run that was killed
    except UserNotFound:
        user = await backend.accounts.add_user(address)
        await backend.mail.provision(AccountId(user.id))
    made = await backend.accounts.create_key(user.id, KEY_NAME, SCOPES)
    return Person(address, made.secret)


async def _revoke_keys(backend: Backend, user: User) -> None:
    for key in await backend.accounts.keys(user.id):
        if key.name == KEY_NAME and key.revoked is None:
            await backend.accounts.revoke_key(user.id, key.id)


def place_of(settings: Settings, smtp: str, pop3: str, imap: str, api: str) -> Place:
    """These hosts, and the ports that are configured."""
    return Place(
        mx=(smtp, settings.smtp.mx_port),
        submission=(smtp, settings.smtp.port),
        pop3=(pop3, settings.pop3.secure_port),
        imap=(imap, settings.imap.secure_port),
        api=(api, settings.api.secure_port),
        closing=Event(),
    )
