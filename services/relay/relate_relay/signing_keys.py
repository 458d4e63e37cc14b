"""The DKIM keys of a message: those of its author's domain, as `relate domain add` made them.

The database says which selectors a domain has, the directory has the private keys. The newest selector whose keys can
be used signs; without one the message is sent unsigned, because mail that is late helps its sender less.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

import structlog

from relate_accounts.ports import AccountStore
from relate_mime import decode_address, header_fields, parse_addresses
from relate_mime.fields import header_end
from relate_relay.dkim.key_directory import InvalidKeyName, KeyDirectory, KeyUnusable
from relate_relay.dkim.keys import SigningKeys
from relate_relay.routing.names import to_ascii
from relate_relay.routing.shared_calls import SharedCalls
from relate_relay.routing.ttl_cache import TtlCache

log = structlog.get_logger(__name__)

FRESH_SECONDS = 5.0
"""How long keys are used before the database is asked again: new ones are seen within this time."""
MAX_DOMAINS = 1_000
"""The domains whose keys are cached."""


class KeySource(Protocol):
    """Finds the keys that sign a message."""

    async def find(self, raw: bytes, sender: str) -> SigningKeys | None:
        """The keys for a raw message; None if it is sent unsigned. Raises AccountsUnavailable.

        `sender` is the reverse-path, an address that the user owns: only its domain signs.
        """


class DomainKeySource:
    """`KeySource` from the accounts' database and a directory. `clock` returns monotonic seconds."""

    def __init__(
        self, accounts: AccountStore, directory: KeyDirectory, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._accounts = accounts
        self._directory = directory
        self._cache: TtlCache[str, SigningKeys | None] = TtlCache(MAX_DOMAINS, clock)
        self._loads: SharedCalls[str, SigningKeys | None] = SharedCalls()

    async def find(self, raw: bytes, sender: str) -> SigningKeys | None:
        """See `KeySource.find`."""
        domain = to_ascii(sender.rpartition("@")[2])
        if domain is None:
            return None
        cached = self._cache.get(domain)
        keys = cached[0] if cached is not None else await self._loads.run(domain, partial(self._load, domain))
        if keys is None or author_domain(raw) != domain:  # the header is parsed only if there are keys
            return None
        return keys

    async def close(self) -> None:
        """End the reading of keys."""
        await self._loads.close()

    async def _load(self, domain: str) -> SigningKeys | None:
        """Read the keys once for all attempts that need them at the same time."""
        keys = await self._find_usable(domain)
        self._cache.put(domain, keys, FRESH_SECONDS)
        return keys

    async def _find_usable(self, domain: str) -> SigningKeys | None:
        for key in await self._accounts.domain_keys(domain):
            try:
                return await asyncio.to_thread(self._directory.load, domain, key.selector)
            except (KeyUnusable, InvalidKeyName) as error:
                log.warning("DKIM key unusable", destination=domain, error=str(error))
        return None


def author_domain(raw: bytes) -> str | None:
    """The domain in A-labels of the only author in From; None if there are several, or none (RFC 5322 §3.6.2)."""
    end = header_end(raw, 0, len(raw))
    values = [field.value for field in header_fields(raw, 0, end) if field.name.lower() == b"from"]
    if len(values) != 1:
        return None
    authors = parse_addresses(values[0])
    if len(authors) != 1:
        return None
    _, at, domain = decode_address(authors[0]).address.rpartition("@")
    return to_ascii(domain) if at else None
