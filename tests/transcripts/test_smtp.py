"""Every conversation in `smtp/`, replayed. Beside what `PostOffice` understands:

role: mx | submission           what the listener is for (mx)
peer: tls | clear | local       how the client is connected (tls)
certificate: none               there is no TLS to be had
<setting>: value                a field of SmtpSettings
stored: bob@example.net 2       in the end there are so many messages for somebody; the block is the text of the last
"""

from dataclasses import replace
from pathlib import Path

import pytest

from relate_smtp.config import SmtpSettings
from relate_smtp.context import Role
from tests.support.scripted import LOCAL, SECURE, STRANGER
from tests.support.transcript import Given, parse_transcript, replay, transcripts
from tests.unit.smtp.office import PostOffice, connect, without_trace

PEERS = {"tls": SECURE, "clear": STRANGER, "local": LOCAL}


@pytest.mark.parametrize("path", transcripts("smtp"))
async def test_conversation(path: Path) -> None:
    transcript = parse_transcript(path)
    office, facts, stored = PostOffice(), dict[str, str](), list[Given]()
    for given in transcript.given:
        if given.name == "stored":
            stored.append(given)
        elif not await office.give(given):
            facts[given.name] = given.value
    settings = {name: facts.pop(name) for name in list(facts) if name in SmtpSettings.model_fields}
    peer = PEERS[facts.pop("peer", "tls")]
    context = office.context(Role[facts.pop("role", "mx").upper()], **settings)
    context = replace(context, starttls_available=facts.pop("certificate", "") != "none")
    assert not facts, f"not understood: {facts}"
    await replay(transcript, lambda: connect(context, peer))
    for given in stored:
        await expect_stored(office, given)


async def expect_stored(office: PostOffice, given: Given) -> None:
    address, count = given.value.split()
    messages = await office.received(address)
    assert len(messages) == int(count)
    if given.block:
        assert without_trace(messages[-1]) == given.block
