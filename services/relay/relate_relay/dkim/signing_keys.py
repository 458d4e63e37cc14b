"""The DKIM keys of a message: those of its author's domain, as `relate domain add` made them.

The database says which selectors a domain has, the directory has the private keys. The newest selector whose keys can
be used signs; without one the message is sent unsigned, because mail that is late helps its sender less.
"""

import asyncio
import time
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Protocol

import structlog

from relate_accounts.ports import AccountStore
from relate_mime import decode_address, header_fields, parse_addresses
from relate_mime.fields import header_end
from relate_outbound.dns.names import to_ascii
from relate_outbound.dns.shared_calls import SharedCalls
from relate_outbound.dns.ttl_cache import TtlCache
from relate_relay.dkim.key_directory import InvalidKeyName, KeyDirectory, KeyUnusable
from relate_relay.dkim.keys import SigningKeys

log = structlog.get_logger(__name__)

FRESH_SECONDS = 5.0
"""How long keys are used before the database is asked again: new ones are seen within this time."""
MAX_DOMAINS = 1_000
"""The domains whose keys are cached."""


class Unsigned(Enum):
    """Why a message is sent unsigned; the value is a metric label."""

    NO_KEY = "no_key"
    KEY_UNUSABLE = "key_unusable"
    OTHER_AUTHOR = "other_author"


class KeySource(Protocol):
    """Finds the keys that sign a message."""

    async def find(self, raw: bytes, sender: str) -> SigningKeys | None:
        """The keys for a raw message; None if it is sent unsigned. Raises AccountsUnavailable.

        `sender` is the reverse-path, an address that the user owns: only its domain signs.
        """


class DomainKeySource:
    """`KeySource` from the accounts' database and a directory. `clock` returns monotonic seconds.

    `unsigned` is told of each message without keys.
    """

    def __init__(
        self,
        accounts: AccountStore,
        directory: KeyDirectory,
        clock: Callable[[], float] = time.monotonic,
        unsigned: Callable[[Unsigned], None] = lambda _: None,
    ) -> None:
        self._accounts = accounts
        self._directory = directory
        self._unsigned = unsigned
        self._cache: TtlCache[str, SigningKeys | Unsigned] = TtlCache(MAX_DOMAINS, clock)
        self._loads: SharedCalls[str, SigningKeys | Unsigned] = SharedCalls()

    async def find(self, raw: bytes, sender: str) -> SigningKeys | None:
        """See `KeySource.find`."""
        domain = to_ascii(sender.rpartition("@")[2])
        keys = Unsigned.OTHER_AUTHOR if domain is None else await self._find(domain)
        if isinstance(keys, SigningKeys):
            if author_domain(raw) == domain:  # the header is parsed only if there are keys
                return keys
            keys = Unsigned.OTHER_AUTHOR
        self._unsigned(keys)
        return None

    async def close(self) -> None:
        """End the reading of keys."""
        await self._loads.close()

    async def _find(self, domain: str) -> SigningKeys | Unsigned:
        cached = self._cache.get(domain)
        return cached[0] if cached is not None else await self._loads.run(domain, partial(self._load, domain))

    async def _load(self, domain: str) -> SigningKeys | Unsigned:
        """Read the keys once for all attempts that need them at the same time."""
        keys = await self._find_usable(domain)
        self._cache.put(domain, keys, FRESH_SECONDS)
        return keys

    async def _find_usable(self, domain: str) -> SigningKeys | Unsigned:
        selectors = [key.selector for key in await self._accounts.domain_keys(domain)]
        for selector in selectors:
            try:
                return await asyncio.to_thread(self._directory.load, domain, selector)
            except (KeyUnusable, InvalidKeyName) as error:
                log.warning("DKIM key unusable", domain=domain, error=str(error))
        if not selectors:
            log.warning("mail sent unsigned", domain=domain, hint=f"relate domain add {domain} makes DKIM keys")
        return Unsigned.KEY_UNUSABLE if selectors else Unsigned.NO_KEY


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
