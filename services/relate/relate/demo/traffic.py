"""A load generator: starts the sessions of `clients` at a given rate until stopped.

Its users and their mail persist between runs; their keys do not: each run creates new ones and revokes them at the end.
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

from relate.admin import Backend, open_backend
from relate.demo.clients import FAILED_LOGINS, SESSION_WEIGHTS, DemoUser, Endpoints, Session
from relate.settings import Settings
from relate_accounts.errors import UserNotFound
from relate_accounts.types import Scope, User
from relate_mailstore.types import AccountId

log = structlog.get_logger(__name__)

USER_NAMES = ("ann", "ben", "cleo", "dan", "eva")
DOMAIN = "demo.example.test"
KEY_NAME = "traffic"
SCOPES = (Scope.SMTP, Scope.POP3, Scope.IMAP, Scope.API_READ, Scope.API_WRITE)

MAX_SESSIONS = 32  # concurrent; further ones are skipped, so that a slow server is not overloaded
# Minimum between two failed logins: beyond 20, and one per 6 seconds, replies are delayed.
FAILED_LOGIN_SECONDS = 5.0
REPORT_SECONDS = 60.0


async def run(settings: Settings, endpoints: Endpoints, rate: float) -> None:
    """Generate traffic until `endpoints.stop_requested` is set, as it is by SIGTERM and SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, endpoints.stop_requested.set)
    async with users_with_keys(settings, USER_NAMES) as users:
        await asyncio.to_thread(_Traffic(endpoints, users).generate, rate)


class _Traffic:
    """The sessions of one run."""

    def __init__(self, endpoints: Endpoints, users: Collection[DemoUser]) -> None:
        self._endpoints = endpoints
        self._users_with_keys = list(users)
        self._random = Random()  # noqa: S311 - not a secret
        self._free_slots = Semaphore(MAX_SESSIONS)
        self._started: Counter[str] = Counter()
        self._failed_logins = cycle(FAILED_LOGINS)
        self._next_failed_login = self._next_report = 0.0

    def generate(self, rate: float) -> None:
        """Start `rate` sessions per second on average until a stop is requested, then wait for those that run."""
        with ThreadPoolExecutor(MAX_SESSIONS) as threads:
            while not self._endpoints.stop_requested.wait(self._random.expovariate(rate)):
                if self._free_slots.acquire(blocking=False):
                    session = self._choose_session()
                    self._started[session.__name__] += 1
                    threads.submit(self._run_session, session, self._random.choice(self._users_with_keys))
                self._report()
        log.info("demo ended", **self._started)

    def _choose_session(self) -> Session:
        now = time.monotonic()
        if now < self._next_failed_login:
            return self._random.choices(list(SESSION_WEIGHTS), list(SESSION_WEIGHTS.values()))[0]
        self._next_failed_login = now + FAILED_LOGIN_SECONDS
        return next(self._failed_logins)

    def _run_session(self, session: Session, user: DemoUser) -> None:
        try:
            session(self._endpoints, user, Random())  # noqa: S311 - as above
        except Exception as error:  # noqa: BLE001 - one failed session must not end the run
            log.warning("visit failed", visit=session.__name__, error=f"{type(error).__name__}: {error}")
        finally:
            self._free_slots.release()

    def _report(self) -> None:
        now = time.monotonic()
        if now >= self._next_report:
            self._next_report = now + REPORT_SECONDS
            log.info("demo", **self._started)


@asynccontextmanager
async def users_with_keys(settings: Settings, names: Collection[str]) -> AsyncIterator[list[DemoUser]]:
    """The demo users of these names, with keys that are valid inside the block."""
    async with open_backend(settings) as backend:
        users = [await _create_user(backend, f"{name}@{DOMAIN}") for name in names]
    try:
        yield users
    finally:
        async with open_backend(settings) as backend:
            for user in users:
                await _revoke_keys(backend, await backend.accounts.user_by_address(user.address))


async def _create_user(backend: Backend, address: str) -> DemoUser:
    try:
        user = await backend.accounts.user_by_address(address)
        await _revoke_keys(backend, user)  # left by a run that was killed
    except UserNotFound:
        user = await backend.accounts.add_user(address)
        await backend.mail.provision(AccountId(user.id))
    made = await backend.accounts.create_key(user.id, KEY_NAME, SCOPES)
    return DemoUser(address, made.secret)


async def _revoke_keys(backend: Backend, user: User) -> None:
    for key in await backend.accounts.keys(user.id):
        if key.name == KEY_NAME and key.revoked is None:
            await backend.accounts.revoke_key(user.id, key.id)


def configured_endpoints(settings: Settings, smtp: str, pop3: str, imap: str, api: str) -> Endpoints:
    """These hosts with the configured ports."""
    return Endpoints(
        mx=(smtp, settings.smtp.mx_port),
        submission=(smtp, settings.smtp.port),
        pop3=(pop3, settings.pop3.secure_port),
        imap=(imap, settings.imap.secure_port),
        api=(api, settings.api.secure_port),
        stop_requested=Event(),
    )
