"""Preparing and signing large messages beside other connections."""

from random import Random

from relate_relay.dkim.next_hop import Prepared, Refusal, prepare
from relate_relay.dkim.offload import prepare_message, sign_message
from relate_relay.dkim.signing import sign
from tests.support.responsive import responsive
from tests.unit.relay.dkim.examples import KEYS, NOW

LARGE_OCTETS = 5_000_000
RAW = b"From: a@b.example\r\nContent-Type: image/png\r\n\r\n" + Random(4).randbytes(LARGE_OCTETS)


async def test_the_event_loop_is_not_blocked() -> None:
    with responsive():
        prepared = await prepare_message(RAW, eight_bit_mime=False, smtputf8=False)
        assert isinstance(prepared, Prepared)
        signed = await sign_message(prepared.header, prepared.body(), KEYS, NOW)

    again = prepare(RAW, eight_bit_mime=False, smtputf8=False)
    assert isinstance(again, Prepared)
    assert signed == sign(again.header, again.body(), KEYS, NOW)


async def test_a_refusal_is_returned() -> None:
    raw = "From: ü@b.example\r\n\r\n".encode()

    assert await prepare_message(raw, eight_bit_mime=True, smtputf8=False) is Refusal.SMTPUTF8
