"""Replays the conversations in `smtp/`. In addition to the lines of `SmtpBackend` they may begin with:

role: mx | submission           the role of the listener (mx)
peer: tls | clear | local       the client's connection: over TLS (default), without TLS, or without TLS over loopback
certificate: none               STARTTLS is not available
<setting>: value                a field of SmtpSettings
relay: on                       mail of users to other servers is queued
limit: 2                        the recipients on other servers of an account in an hour
queued: carol@example.org held  a recipient in the queue at the end, in order; there is no other
stored: bob@example.net 2       the number of a user's messages at the end; the block is the text of the last message
"""

from dataclasses import replace
from pathlib import Path

import pytest

from relate_mailstore.queue_types import QueueFilter, SendingLimit
from relate_smtp.context import Role
from relate_submission.config import SmtpSettings
from relate_submission.routing import Relaying
from tests.support.scripted import LOCAL, SECURE, STRANGER
from tests.support.transcript import Given, parse_transcript, replay, transcripts
from tests.unit.smtp.smtp_fixtures import SmtpBackend, connect, without_trace_fields

HOUR_SECONDS = 3_600
PEERS = {"tls": SECURE, "clear": STRANGER, "local": LOCAL}


@pytest.mark.parametrize("path", transcripts("smtp"))
async def test_conversation(path: Path) -> None:
    transcript = parse_transcript(path)
    backend, preconditions, stored, queued = SmtpBackend(), dict[str, str](), list[Given](), list[str]()
    for given in transcript.given:
        if given.name == "stored":
            stored.append(given)
        elif given.name == "queued":
            queued.append(given.value)
        elif not await backend.give(given):
            preconditions[given.name] = given.value
    settings = {name: preconditions.pop(name) for name in list(preconditions) if name in SmtpSettings.model_fields}
    peer = PEERS[preconditions.pop("peer", "tls")]
    context = backend.context(Role[preconditions.pop("role", "mx").upper()], **settings)
    context = replace(context, starttls_available=preconditions.pop("certificate", "") != "none")
    if preconditions.pop("relay", "") == "on":
        context = replace(context, routing=Relaying(backend.directory))
    if limit := preconditions.pop("limit", ""):
        context = replace(context, sending_limits=(SendingLimit(HOUR_SECONDS, int(limit)),))
    assert not preconditions, f"unknown preconditions: {preconditions}"
    await replay(transcript, lambda: connect(context, peer))
    page = await backend.store.queue.find(QueueFilter(), 1_000)
    assert [f"{row.address} {row.state.value}" for row in page.items] == queued
    for given in stored:
        await expect_stored(backend, given)


async def expect_stored(backend: SmtpBackend, given: Given) -> None:
    address, count = given.value.split()
    messages = await backend.received(address)
    assert len(messages) == int(count)
    if given.block:
        assert without_trace_fields(messages[-1]) == given.block
