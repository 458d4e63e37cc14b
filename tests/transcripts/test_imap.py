"""Replays every transcript in `imap/`. Settings besides those of `MemoryBackend`:

peer: tls | clear | local       how the client is connected (tls)
certificate: none               the server has no TLS
limited: fred@example.org secret 512    a user with a quota in KiB
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from relate_accounts.types import Scope
from relate_imap.session import ImapEngine
from relate_mailstore.types import AccountId
from relate_wire.config import ServiceSettings
from tests.support.imap.engine import context_of
from tests.support.memory_backend import MemoryBackend
from tests.support.scripted import LOCAL, SECURE, STRANGER, Connection
from tests.support.transcript import Given, parse_transcript, replay, transcripts

PEERS = {"tls": SECURE, "clear": STRANGER, "local": LOCAL}


@pytest.mark.parametrize("path", transcripts("imap"))
async def test_conversation(path: Path) -> None:
    transcript = parse_transcript(path)
    backend, facts = MemoryBackend(), dict[str, str]()
    for given in transcript.given:
        if not await give(backend, given):
            facts[given.name] = given.value
    peer = PEERS[facts.pop("peer", "tls")]
    context = replace(
        context_of(backend),
        allows_plaintext=ServiceSettings().allows_plaintext,
        starttls_available=facts.pop("certificate", "") != "none",
    )
    assert not facts, f"not understood: {facts}"
    await replay(transcript, lambda: Connection(partial(ImapEngine, context=context), peer))


async def give(backend: MemoryBackend, given: Given) -> bool:
    """Apply one setting; returns whether it is known."""
    if given.name != "limited":
        return await backend.give(given)
    address, key, kibibytes = given.value.split()
    user = await backend.accounts.add_user(address, quota=int(kibibytes) * 1024)
    await backend.accounts.create_key(user.id, "laptop", tuple(Scope), secret=key)
    backend.account = AccountId(user.id)
    return True
