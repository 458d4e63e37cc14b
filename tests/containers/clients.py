"""Mail clients of a stack, over TLS that trusts only its certificate."""

import imaplib
import poplib
import smtplib
import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

HOST = "127.0.0.1"
TIMEOUT_SECONDS = 60.0


class Clients(ABC):
    """Makes clients of a stack."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self.ports = ports
        """The published ports by their names in `.env`: `smtp_mx`, `smtp`, `smtp_secure`, `pop3`, …"""

    @property
    @abstractmethod
    def certificate(self) -> str: ...

    def tls(self) -> ssl.SSLContext:
        """A context that trusts the stack's certificate."""
        return ssl.create_default_context(cadata=self.certificate)

    @contextmanager
    def mx(self) -> Iterator[smtplib.SMTP]:
        """A connection to the MX port, as from another server."""
        with smtplib.SMTP(HOST, self.ports["smtp_mx"], "mx.example.org", timeout=TIMEOUT_SECONDS) as client:
            yield client

    @contextmanager
    def anonymous_submission(self) -> Iterator[smtplib.SMTP]:
        """A connection to the submission port, after STARTTLS and without a login."""
        with smtplib.SMTP(HOST, self.ports["smtp"], "client.example.test", timeout=TIMEOUT_SECONDS) as client:
            client.starttls(context=self.tls())
            client.ehlo()
            yield client

    @contextmanager
    def submission(self, address: str, key: str) -> Iterator[smtplib.SMTP]:
        """A connection to the submission port, logged in."""
        with self.anonymous_submission() as client:
            client.login(address, key)
            yield client

    @contextmanager
    def pop3(self, address: str, key: str) -> Iterator[poplib.POP3_SSL]:
        """A POP3 connection, logged in."""
        client = poplib.POP3_SSL(HOST, self.ports["pop3_secure"], context=self.tls(), timeout=TIMEOUT_SECONDS)
        try:
            client.user(address)
            client.pass_(key)
            yield client
            client.quit()
        finally:
            client.close()

    @contextmanager
    def imap(self, address: str, key: str) -> Iterator[imaplib.IMAP4_SSL]:
        """An IMAP connection, logged in."""
        context = self.tls()
        with imaplib.IMAP4_SSL(HOST, self.ports["imap_secure"], ssl_context=context, timeout=TIMEOUT_SECONDS) as client:
            client.login(address, key)
            yield client

    def api(self, key: str | None = None) -> httpx.Client:
        """A client of the API, with a key or without; a context manager."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        url = f"https://{HOST}:{self.ports['api_secure']}/api/external"
        return httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_SECONDS, verify=self.tls())
