"""Prepares and signs in a thread: an RSA signature takes a millisecond, a large body tens or hundreds of them.

Preparing a small message takes some ten microseconds: less than passing it to a thread and back.
"""

import asyncio
from collections.abc import Iterable

from relate_mime.cost import is_cheap_to_index
from relate_relay.dkim.keys import SigningKeys
from relate_relay.dkim.next_hop import Prepared, Refusal, prepare
from relate_relay.dkim.signing import sign


async def prepare_message(raw: bytes, *, eight_bit_mime: bool, smtputf8: bool) -> Prepared | Refusal:
    """As `next_hop.prepare`, without blocking the event loop for more than some milliseconds."""
    if is_cheap_to_index(raw):  # it is scanned only, as at delivery, and encoding takes less
        return prepare(raw, eight_bit_mime=eight_bit_mime, smtputf8=smtputf8)
    return await asyncio.to_thread(prepare, raw, eight_bit_mime=eight_bit_mime, smtputf8=smtputf8)


async def sign_message(header: bytes, body: Iterable[bytes], keys: SigningKeys, now: int) -> bytes:
    """As `signing.sign`, without blocking the event loop. `body` is iterated in the thread."""
    return await asyncio.to_thread(sign, header, body, keys, now)
