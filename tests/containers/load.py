"""Continuous mail: several senders that wait for each reply, and reconnect when their connection is lost.

with Load(stack, address) as load:
    load.wait_for(20)
    …
assert not load.lost_or_doubled(stored)
"""

import re
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from statistics import median
from types import TracebackType
from typing import Self

from tests.containers.accounts import SENDER, Account
from tests.containers.clients import Clients

SENDERS = 4
INTERVAL_SECONDS = 0.02  # between two messages of a sender
RECONNECT_SECONDS = 0.2
TIMEOUT_SECONDS = 60.0

TEXT = b"".join(b"%070d\r\n" % line for line in range(30))  # two kilobytes

_NUMBER = re.compile(rb"^X-Number: ([0-9]+)\r\n", re.MULTILINE)

_numbers = count(1)  # unique over all loads, because they may share a recipient


class Load:
    """Sends numbered messages to one recipient, through the MX port."""

    def __init__(self, clients: Clients, recipient: str, senders: int = SENDERS) -> None:
        self.accepted: dict[int, float] = {}
        """The accepted messages, with the seconds until the reply to their content."""
        self.deferred = 0
        """The number of replies with a code of 4xx."""
        self.interrupted = 0
        """The number of connections that were refused or lost."""
        self.faults: list[Exception] = []
        """Other replies and exceptions."""
        self._clients = clients
        self._recipient = recipient
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(senders)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(TIMEOUT_SECONDS)
        assert error is not None or not self.faults, self.faults

    def wait_for(self, more: int, timeout: float = TIMEOUT_SECONDS) -> None:
        """Wait until this many more messages were accepted."""
        self._until(more, lambda: len(self.accepted), timeout)

    def wait_for_deferred(self, more: int) -> None:
        """Wait until this many more replies were temporary failures."""
        self._until(more, lambda: self.deferred, TIMEOUT_SECONDS)

    def median(self, first: int = 0) -> float:
        """The median of the seconds until a reply, without the first messages."""
        return median(list(self.accepted.values())[first:])

    def lost_or_doubled(self, stored: Counter[int]) -> set[int]:
        """The messages that were accepted and not stored, or stored more than once."""
        return (self.accepted.keys() - stored.keys()) | {number for number, copies in stored.items() if copies > 1}

    def _until(self, more: int, count: Callable[[], int], timeout: float) -> None:
        with self._changed:
            target = count() + more
            assert self._changed.wait_for(lambda: count() >= target or self.faults, timeout), "timed out"

    def _send(self) -> None:
        while not self._stopped.is_set():
            try:
                with self._clients.mx() as client:
                    while not self._stopped.wait(INTERVAL_SECONDS):
                        self._deliver(client)
            except smtplib.SMTPResponseException as error:
                self._count_refusal(error)
            except (smtplib.SMTPException, OSError):
                self.interrupted += 1
            self._stopped.wait(RECONNECT_SECONDS)

    def _deliver(self, client: smtplib.SMTP) -> None:
        number = next(_numbers)
        client.ehlo_or_helo_if_needed()
        for verb, code, reply in (
            ("MAIL", *client.mail(SENDER)),
            ("RCPT", *client.rcpt(self._recipient)),
        ):
            if code != 250:
                raise smtplib.SMTPResponseException(code, f"{verb}: {reply!r}")
        start = time.monotonic()
        code, reply = client.data(b"X-Number: %d\r\n\r\n" % number + TEXT)
        if code != 250:
            raise smtplib.SMTPResponseException(code, f"DATA: {reply!r}")
        with self._changed:
            self.accepted[number] = time.monotonic() - start
            self._changed.notify_all()

    def _count_refusal(self, error: smtplib.SMTPResponseException) -> None:
        with self._changed:
            if 400 <= error.smtp_code < 500:
                self.deferred += 1
            elif error.smtp_code != -1:  # -1: the connection was lost within a reply
                self.faults.append(error)
            self._changed.notify_all()


def stored_numbers(clients: Clients, account: Account) -> Counter[int]:
    """The numbers of the stored messages, with the count of each."""
    with clients.pop3(*account) as client:
        headers = [b"\r\n".join(client.top(number + 1, 0)[1]) + b"\r\n" for number in range(client.stat()[0])]
    return Counter(int(found[1]) for header in headers if (found := _NUMBER.search(header)))
