"""IMAP clients that do not say goodbye, because the server may have closed the connection."""

import imaplib
from collections.abc import Iterator
from contextlib import contextmanager

from relate.demo.clients import RESPONSE_TIMEOUT_SECONDS, unverified_tls


@contextmanager
def imap_client(server: tuple[str, int]) -> Iterator[imaplib.IMAP4_SSL]:
    """A connection that is not logged in. Raises OSError, IMAP4.error."""
    client = imaplib.IMAP4_SSL(*server, ssl_context=unverified_tls(), timeout=RESPONSE_TIMEOUT_SECONDS)
    try:
        yield client
    finally:
        client.shutdown()
