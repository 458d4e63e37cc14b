"""The datagrams of a name server, which anyone may forge."""

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_outbound.dns.nameserver import MAX_UDP_OCTETS, parse_datagram

HEADER_OCTETS = 12
QUERY = dns.message.make_query("example.test", "MX")
ANSWER = dns.message.make_response(QUERY).to_wire()


def test_an_answer_is_parsed() -> None:
    message = parse_datagram(ANSWER)
    assert message is not None
    assert QUERY.is_response(message)


def test_a_truncated_answer_is_told_from_a_malformed_one() -> None:
    """RFC 2181 §9: its records are not used."""
    with pytest.raises(dns.message.Truncated):
        parse_datagram(ANSWER[:2] + b"\x83" + ANSWER[3:])
    assert parse_datagram(ANSWER[:-1]) is None


@given(st.binary(min_size=HEADER_OCTETS, max_size=MAX_UDP_OCTETS))
def test_any_datagram_is_a_message_or_none(octets: bytes) -> None:
    not_truncated = octets[:2] + b"\x81" + octets[3:]
    message = parse_datagram(not_truncated)
    assert message is None or message.id == int.from_bytes(octets[:2])


@given(st.binary(max_size=200), st.integers(0, 3), st.integers(0, 3))
def test_any_records_are_a_message_or_none(octets: bytes, answers: int, additional: int) -> None:
    counts = b"\0\1" + answers.to_bytes(2) + b"\0\0" + additional.to_bytes(2)
    message = parse_datagram(ANSWER[:4] + counts + ANSWER[HEADER_OCTETS:] + octets)
    assert message is None or message.id == QUERY.id
