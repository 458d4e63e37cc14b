"""Every conversation in `imap/`, replayed. Beside what `MemoryBackend` understands:

peer: tls | clear | local       how the client is connected (tls)
certificate: none               there is no TLS to be had
limited: fred@example.org secret 512    a user with a limit in KiB
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
    world, facts = MemoryBackend(), dict[str, str]()
    for given in transcript.given:
        if not await give(world, given):
            facts[given.name] = given.value
    peer = PEERS[facts.pop("peer", "tls")]
    context = replace(
        context_of(world),
        allows_plaintext=ServiceSettings().allows_plaintext,
        starttls_available=facts.pop("certificate", "") != "none",
    )
    assert not facts, f"not understood: {facts}"
    await replay(transcript, lambda: Connection(partial(ImapEngine, context=context), peer))


async def give(world: MemoryBackend, given: Given) -> bool:
    """Make one thing so, if it is known."""
    if given.name != "limited":
        return await world.give(given)
    address, key, kibibytes = given.value.split()
    user = await world.accounts.add_user(address, quota=int(kibibytes) * 1024)
    await world.accounts.create_key(user.id, "laptop", tuple(Scope), secret=key)
    world.account = AccountId(user.id)
    return True
