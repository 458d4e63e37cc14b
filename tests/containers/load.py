"""Mail that keeps coming: several senders that wait for each answer, and come back whenever they are cut off.

with Load(stack, address) as load:
    load.wait_for(20)
    …
assert not load.faults_of(stored)
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

from tests.containers.accounts import STRANGER, Account
from tests.containers.clients import Clients

SENDERS = 4
REST = 0.02  # seconds between two messages of a sender: a load, not a flood
RETRY = 0.2  # seconds until a sender that was cut off connects again
PATIENCE = 60.0  # seconds

TEXT = b"".join(b"%070d\r\n" % line for line in range(30))  # two kilobytes

_NUMBER = re.compile(rb"^X-Number: ([0-9]+)\r\n", re.MULTILINE)

_numbers = count(1)  # of all loads: they may share a recipient


class Load:
    """Numbered messages for one recipient, by MX."""

    def __init__(self, clients: Clients, recipient: str, senders: int = SENDERS) -> None:
        self.accepted: dict[int, float] = {}
        """The messages that were answered with 250, and the seconds that the answer to their content took."""
        self.deferred = 0
        """Answers with a code of the 400s."""
        self.interrupted = 0
        """Connections that were refused or cut."""
        self.faults: list[Exception] = []
        """What no sender should ever see."""
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
            thread.join(PATIENCE)
        assert error is not None or not self.faults, self.faults

    def wait_for(self, more: int, patience: float = PATIENCE) -> None:
        """Return when so many more are accepted."""
        self._until(more, lambda: len(self.accepted), patience)

    def wait_for_deferred(self, more: int) -> None:
        """Return when so many more answers were temporary failures."""
        self._until(more, lambda: self.deferred, PATIENCE)

    def median(self, first: int = 0) -> float:
        """Seconds that the answer to a message took, of those accepted after the first so many."""
        return median(list(self.accepted.values())[first:])

    def faults_of(self, stored: Counter[int]) -> set[int]:
        """What was accepted and is not there, and what is there more than once."""
        return (self.accepted.keys() - stored.keys()) | {number for number, copies in stored.items() if copies > 1}

    def _until(self, more: int, counted: Callable[[], int], patience: float) -> None:
        with self._changed:
            enough = counted() + more
            assert self._changed.wait_for(lambda: counted() >= enough or self.faults, patience), "nothing moves"

    def _send(self) -> None:
        while not self._stopped.is_set():
            try:
                with self._clients.mx() as client:
                    while not self._stopped.wait(REST):
                        self._deliver(client)
            except smtplib.SMTPResponseException as error:
                self._note_refusal(error)
            except (smtplib.SMTPException, OSError):
                self.interrupted += 1
            self._stopped.wait(RETRY)

    def _deliver(self, client: smtplib.SMTP) -> None:
        number = next(_numbers)
        client.ehlo_or_helo_if_needed()
        for verb, code, reply in (
            ("MAIL", *client.mail(STRANGER)),
            ("RCPT", *client.rcpt(self._recipient)),
        ):
            if code != 250:
                raise smtplib.SMTPResponseException(code, f"{verb}: {reply!r}")
        began = time.monotonic()
        code, reply = client.data(b"X-Number: %d\r\n\r\n" % number + TEXT)
        if code != 250:
            raise smtplib.SMTPResponseException(code, f"DATA: {reply!r}")
        with self._changed:
            self.accepted[number] = time.monotonic() - began
            self._changed.notify_all()

    def _note_refusal(self, error: smtplib.SMTPResponseException) -> None:
        with self._changed:
            if 400 <= error.smtp_code < 500:
                self.deferred += 1
            elif error.smtp_code != -1:  # -1: cut in the middle of a reply
                self.faults.append(error)
            self._changed.notify_all()


def stored_numbers(clients: Clients, account: Account) -> Counter[int]:
    """The messages that are there, by number, and how often each is."""
    with clients.pop3(*account) as client:
        heads = [b"\r\n".join(client.top(number + 1, 0)[1]) + b"\r\n" for number in range(client.stat()[0])]
    return Counter(int(found[1]) for head in heads if (found := _NUMBER.search(head)))
