"""Reads what arrives in a user's INBOX."""

from collections.abc import Iterator
from contextlib import contextmanager

from imapclient import IMAPClient

from tests.integration.product.accounts import Account
from tests.support.product import HOST, TIMEOUT_SECONDS, Product


@contextmanager
def arriving(product: Product, reader: Account) -> Iterator[list[bytes]]:
    """Idle in INBOX; after the block the list has its messages, of which at least one has come in the block."""
    messages: list[bytes] = []
    with IMAPClient(HOST, product.ports["Imap__Port"], ssl=False, timeout=TIMEOUT_SECONDS) as client:
        client.login(*reader)
        client.select_folder("INBOX")
        client.idle()
        yield messages
        updates = client.idle_check(TIMEOUT_SECONDS)
        client.idle_done()
        assert any(update[1] == b"EXISTS" for update in updates)
        fetched = client.fetch(client.search(), ["BODY.PEEK[]"])
        messages += [fetched[uid][b"BODY[]"] for uid in sorted(fetched)]
