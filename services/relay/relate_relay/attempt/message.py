"""A message as it is sent: prepared for the server, then signed, so that what is signed is what is received."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from relate_relay.attempt.sender import Fitted
from relate_relay.client.capabilities import Capabilities
from relate_relay.client.envelope import Envelope
from relate_relay.dkim.keys import SigningKeys
from relate_relay.dkim.next_hop import Prepared, Refusal
from relate_relay.dkim.offload import prepare_message, sign_message


class SignedMessage:
    """`attempt.sender.Content` of a raw message, which is sent unsigned without keys.

    `now` returns seconds since the epoch.
    """

    def __init__(self, raw: bytes, keys: SigningKeys | None = None, now: Callable[[], float] = time.time) -> None:
        self._raw = raw
        self._keys = keys
        self._now = now
        self._versions: dict[tuple[bool, bool], tuple[bytes, Prepared] | Refusal] = {}  # by what a server takes

    async def fitted(self, envelope: Envelope, capabilities: Capabilities) -> Fitted | Refusal:
        """See `Content.fitted`."""
        key = capabilities.eight_bit_mime, capabilities.smtputf8
        version = self._versions.get(key)
        if version is None:
            version = self._versions[key] = await self._make_version(*key)
        if isinstance(version, Refusal):
            return version
        signature, prepared = version
        size = len(signature) + prepared.size
        fitted = replace(envelope, size=size, needs_8bit=prepared.needs_8bit, needs_utf8=prepared.needs_utf8)
        return Fitted(fitted, _blocks(signature, prepared))

    async def _make_version(self, eight_bit_mime: bool, smtputf8: bool) -> tuple[bytes, Prepared] | Refusal:
        prepared = await prepare_message(self._raw, eight_bit_mime=eight_bit_mime, smtputf8=smtputf8)
        if isinstance(prepared, Refusal) or self._keys is None:
            return prepared if isinstance(prepared, Refusal) else (b"", prepared)
        return await sign_message(prepared.header, prepared.body(), self._keys, int(self._now())), prepared


async def _blocks(signature: bytes, prepared: Prepared) -> AsyncIterator[bytes]:
    yield signature + prepared.header
    for block in prepared.body():
        yield block
