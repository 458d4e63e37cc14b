"""Every conversation in `pop3/`, replayed. Beside what `MemoryBackend` understands:

peer: tls | clear | local       how the client is connected (tls)
plaintext: never | loopback | always    where keys may be sent without TLS (loopback)
certificate: none               there is no TLS to be had
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from relate_pop3.config import Pop3Settings
from relate_pop3.session import Context, Pop3Engine
from tests.support.memory_backend import MemoryBackend
from tests.support.scripted import LOCAL, SECURE, STRANGER, Connection
from tests.support.transcript import Given, parse_transcript, replay, transcripts

PEERS = {"tls": SECURE, "clear": STRANGER, "local": LOCAL}


@pytest.mark.parametrize("path", transcripts("pop3"))
async def test_conversation(path: Path) -> None:
    transcript = parse_transcript(path)
    world, peer = MemoryBackend(), SECURE
    settings = Pop3Settings()
    context = Context(world.store, world.authenticator, "dewey", settings.allows_plaintext, starttls_available=True)
    for given in transcript.given:
        if given.name == "peer":
            peer = PEERS[given.value]
        elif not await world.give(given):
            context = configured(context, given)
    await replay(transcript, lambda: Connection(partial(Pop3Engine, context=context), peer))


def configured(context: Context, given: Given) -> Context:
    if given.name == "plaintext":
        settings = Pop3Settings.model_validate({"plaintext_authentication": given.value})
        return replace(context, allows_plaintext=settings.allows_plaintext)
    if given == Given("certificate", "none", b""):
        return replace(context, starttls_available=False)
    raise ValueError(f"not understood: {given.name}: {given.value}")
