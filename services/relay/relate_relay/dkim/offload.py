"""Signs in a thread, because an RSA signature takes a millisecond, and the hash of a large body tens of them."""

import asyncio
from collections.abc import Iterable

from relate_relay.dkim.keys import SigningKeys
from relate_relay.dkim.signing import sign


async def sign_message(header: bytes, body: Iterable[bytes], keys: SigningKeys, now: int) -> bytes:
    """As `signing.sign`, without blocking the event loop. `body` is iterated in the thread."""
    return await asyncio.to_thread(sign, header, body, keys, now)
