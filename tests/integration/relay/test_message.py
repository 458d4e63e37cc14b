"""A message is prepared for its server and signed, so that what arrives verifies."""

import pytest

from relate_relay.attempt.message import SignedMessage
from relate_relay.attempt.sender import Fitted
from relate_relay.client.capabilities import Capabilities
from relate_relay.client.connection import open_connection
from relate_relay.client.envelope import Envelope, Recipient
from relate_relay.dkim.next_hop import Refusal
from tests.support.relay.sink import CAPABILITIES, Sink
from tests.unit.relay.dkim.examples import KEYS
from tests.unit.relay.dkim.verifying import verified

ENVELOPE = Envelope("ann@example.test", (Recipient("bob@there.test"),))
HEADER = "Subject: x\r\nFrom: ann@example.test\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
TEXT = f"{HEADER}Grüße\r\n.\r\nends with a dot and a line\r\n".encode()
SEVEN_BIT = ("PIPELINING", "SIZE")


@pytest.mark.parametrize("capabilities", [CAPABILITIES, SEVEN_BIT])
async def test_what_arrives_verifies(capabilities: tuple[str, ...]) -> None:
    message = SignedMessage(b"Return-Path: <ann@example.test>\r\n" + TEXT, KEYS)
    async with Sink(capabilities=capabilities) as sink:
        connection = await open_connection("127.0.0.1", sink.port)
        await connection.greet("here.test")
        for _ in range(2):  # the second time from what was made the first time
            fitted = await message.fitted(ENVELOPE, connection.capabilities)
            assert isinstance(fitted, Fitted)
            (result,) = await connection.send(fitted.envelope, fitted.blocks)
            assert (result.error, fitted.envelope.needs_8bit) == (None, capabilities != SEVEN_BIT)
            size = fitted.envelope.size
        await connection.quit()
    first, second = [each.content for each in sink.messages]
    assert first == second
    assert len(first) == size
    assert b"Return-Path" not in first  # RFC 5321 §4.4
    assert first.isascii() == (capabilities == SEVEN_BIT)
    assert verified(first, KEYS) == [True, True]


async def test_without_keys_a_message_is_sent_as_it_is() -> None:
    fitted = await SignedMessage(TEXT).fitted(ENVELOPE, Capabilities(eight_bit_mime=True))
    assert isinstance(fitted, Fitted)
    assert b"".join([block async for block in fitted.blocks]) == TEXT
    assert (fitted.envelope.size, fitted.envelope.needs_8bit) == (len(TEXT), True)


async def test_what_a_server_cannot_take_is_refused_with_a_reason() -> None:
    message = SignedMessage("From: änn@example.test\r\n\r\n".encode(), KEYS)
    assert isinstance(await message.fitted(ENVELOPE, Capabilities()), Refusal)
    assert isinstance(await message.fitted(ENVELOPE, Capabilities(eight_bit_mime=True, smtputf8=True)), Fitted)
