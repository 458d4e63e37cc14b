"""Mail clients of a stack, over TLS that trusts its certificate and nothing else."""

import imaplib
import poplib
import smtplib
import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

HOST = "127.0.0.1"
PATIENCE = 60.0  # seconds for any answer


class Clients(ABC):
    """Where a stack is reached."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self.ports = ports
        """Published ones: `smtp_mx`, `smtp`, `smtp_secure`, `pop3`, …, as `.env` names them."""

    @property
    @abstractmethod
    def certificate(self) -> str: ...

    def tls(self) -> ssl.SSLContext:
        """Trusts the stack."""
        return ssl.create_default_context(cadata=self.certificate)

    @contextmanager
    def mx(self) -> Iterator[smtplib.SMTP]:
        """Another server, bringing mail."""
        with smtplib.SMTP(HOST, self.ports["smtp_mx"], "mx.example.org", timeout=PATIENCE) as client:
            yield client

    @contextmanager
    def unknown(self) -> Iterator[smtplib.SMTP]:
        """A mail client that wants to send, and has not logged in."""
        with smtplib.SMTP(HOST, self.ports["smtp"], "client.example.test", timeout=PATIENCE) as client:
            client.starttls(context=self.tls())
            client.ehlo()
            yield client

    @contextmanager
    def submission(self, address: str, key: str) -> Iterator[smtplib.SMTP]:
        """A mail client that has logged in, to send."""
        with self.unknown() as client:
            client.login(address, key)
            yield client

    @contextmanager
    def pop3(self, address: str, key: str) -> Iterator[poplib.POP3_SSL]:
        """A mail client that has logged in, to fetch."""
        client = poplib.POP3_SSL(HOST, self.ports["pop3_secure"], context=self.tls(), timeout=PATIENCE)
        try:
            client.user(address)
            client.pass_(key)
            yield client
            client.quit()
        finally:
            client.close()

    @contextmanager
    def imap(self, address: str, key: str) -> Iterator[imaplib.IMAP4_SSL]:
        """A mail client that has logged in, to read."""
        context = self.tls()
        with imaplib.IMAP4_SSL(HOST, self.ports["imap_secure"], ssl_context=context, timeout=PATIENCE) as client:
            client.login(address, key)
            yield client

    def api(self, key: str | None = None) -> httpx.Client:
        """A program with a key, or without one; a context manager."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        url = f"https://{HOST}:{self.ports['api_secure']}/api/external"
        return httpx.Client(base_url=url, headers=headers, timeout=PATIENCE, verify=self.tls())
