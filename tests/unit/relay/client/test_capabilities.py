"""The reply to EHLO (RFC 5321 §4.1.1.1)."""

import pytest

from relate_relay.client.capabilities import NO_CAPABILITIES, Capabilities, parse_capabilities
from relate_relay.client.replies import ServerReply


def parse(*lines: str) -> Capabilities:
    return parse_capabilities(ServerReply(250, "", ("mx.example", *lines)))


def test_the_extensions_are_known() -> None:
    assert parse(
        "PIPELINING", "SIZE 1000", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "STARTTLS", "AUTH PLAIN LOGIN",
        "ENHANCEDSTATUSCODES", "X-OTHER 1", "",
    ) == Capabilities(1000, True, True, True, True, True, True, True, ("PLAIN", "LOGIN"))  # fmt: skip


def test_the_first_line_is_the_name_of_the_server() -> None:
    assert parse_capabilities(ServerReply(250, "", ("STARTTLS",))) == NO_CAPABILITIES
    assert parse_capabilities(ServerReply(250, "", ())) == NO_CAPABILITIES


def test_keywords_are_case_insensitive_rfc_5321_section_2_4() -> None:
    assert parse("pipelining", "auth Plain").login_mechanisms == ("PLAIN",)
    assert parse("pipelining").pipelining


@pytest.mark.parametrize(
    ("line", "size"),
    [("SIZE 5", 5), ("SIZE", 0), ("SIZE 0", 0), ("SIZE x", 0), ("SIZE -1", 0), ("SIZE " + "9" * 21, 0), ("DSN", None)],
)
def test_the_size_is_zero_without_a_fixed_limit_rfc_1870_section_4(line: str, size: int | None) -> None:
    assert parse(line).max_size == size


def test_the_first_of_repeated_keywords_counts() -> None:
    assert parse("SIZE 5", "SIZE 6").max_size == 5
