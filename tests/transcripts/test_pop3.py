"""Replays the conversations in `pop3/`. In addition to the lines of `MemoryBackend` they may begin with:

peer: tls | clear | local       the client's connection: over TLS (default), without TLS, or without TLS over loopback
plaintext: never | loopback | always    where a login without TLS is allowed (loopback)
certificate: none               STLS is not available
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from relate_pop3.config import Pop3Settings
from relate_pop3.context import Context
from relate_pop3.session import Pop3Engine
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
    raise ValueError(f"unknown precondition: {given.name}: {given.value}")
