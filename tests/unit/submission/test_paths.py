"""The grammar of paths, mailboxes and client names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_submission.paths import (
    MAX_DOMAIN_CHARACTERS,
    MAX_PATH_CHARACTERS,
    POSTMASTER,
    address_literal,
    is_client_name,
    parse_forward_path,
    parse_reverse_path,
)

MAILBOXES = [
    "ann@example.org",
    "Ann.B+list@EXAMPLE.org",
    "a@b",
    "!#$%&'*+-/=?^_`{|}~@example.org",
    '"ann"@example.org',
    '"ann b"@example.org',
    '"a>b@c"@example.org',
    r'"ann\"b\\"@example.org',
    '""@example.org',
    "ann@host_name.example.org",
    "ann@xn--exmple-cua.org",
    "ann@[192.0.2.1]",
    "ann@[IPv6:2001:db8::1]",
    "ann@[ipv6:::ffff:192.0.2.1]",
    "jörg@exämple.org",
    "用户@例子.广告",
]

INVALID_MAILBOXES = [
    "",
    "ann",
    "ann@",
    "@example.org",
    ".ann@example.org",
    "ann.@example.org",
    "a..b@example.org",
    "a b@example.org",
    "ann@exam ple.org",
    "ann@-example.org",
    "ann@example-.org",
    "ann@example.org.",
    "ann@example..org",
    "ann@example.org>x",
    "a@b@c",
    '"ann@example.org',
    '"ann"b@example.org',
    '"a\x07"@example.org',
    "ann@[192.0.2]",
    "ann@[192.0.2.256]",
    "ann@[2001:db8::1]",
    "ann@[IPv6:2001:db8::g]",
    "ann@[]",
    "ann@[tag:content]",
    "ann(comment)@example.org",
    "a\r\nb@example.org",
    "a\x00b@example.org",
    "a\x85b@example.org",
    "a@" + "d" * (MAX_DOMAIN_CHARACTERS + 1),
    "a" * MAX_PATH_CHARACTERS + "@b",
]


@pytest.mark.parametrize("mailbox", MAILBOXES)
def test_mailbox_is_returned_unchanged(mailbox: str) -> None:
    assert parse_reverse_path(f"<{mailbox}>") == (mailbox, "")
    assert parse_forward_path(f"<{mailbox}> NOTIFY=NEVER") == (mailbox, " NOTIFY=NEVER")


@pytest.mark.parametrize("text", INVALID_MAILBOXES)
def test_path_with_an_invalid_mailbox_is_refused(text: str) -> None:
    assert parse_forward_path(f"<{text}>") in (None, ("ann@example.org", "x>"))


@pytest.mark.parametrize("text", ["ann@example.org", "<ann@example.org", "ann@example.org>", " <a@b>", "<<a@b>>", ""])
def test_path_without_angle_brackets_is_refused(text: str) -> None:
    assert parse_reverse_path(text) is None


@pytest.mark.parametrize("route", ["@a.example:", "@a.example,@b.example:", "@A-1:"])
def test_source_route_is_ignored(route: str) -> None:
    assert parse_forward_path(f"<{route}ann@example.org>") == ("ann@example.org", "")


@pytest.mark.parametrize("route", ["@:", "a.example:", "@a.example", "@a.example,:", "@a.example, @b.example:"])
def test_path_with_an_invalid_source_route_is_refused(route: str) -> None:
    assert parse_forward_path(f"<{route}ann@example.org>") is None


def test_null_path_is_valid_only_for_a_sender() -> None:
    assert parse_reverse_path("<> SIZE=1") == ("", " SIZE=1")
    assert parse_forward_path("<>") is None


def test_bare_postmaster_is_valid_only_for_a_recipient() -> None:
    assert parse_forward_path("<PostMaster>") == (POSTMASTER, "")
    assert parse_reverse_path("<postmaster>") is None


@pytest.mark.parametrize(
    "name",
    [
        "example.org",
        "localhost",
        "DESKTOP-1_A",
        "[192.0.2.1]",
        "[IPv6:2001:db8::1]",
        "::1",
        "a.",
        "x" * MAX_DOMAIN_CHARACTERS,
    ],
)
def test_client_name_that_is_safe_in_a_header_is_accepted(name: str) -> None:
    assert is_client_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        "a\tb",
        "a(b)",
        "a;b",
        "<a>",
        '"a"',
        "[a",
        "a]",
        "a\r\nX-Evil: 1",
        "a\0",
        "ä",
        "x" * (MAX_DOMAIN_CHARACTERS + 1),
    ],
)
def test_client_name_with_header_syntax_is_refused(name: str) -> None:
    assert not is_client_name(name)


@pytest.mark.parametrize(
    ("address", "literal"),
    [
        ("192.0.2.7", "[192.0.2.7]"),
        ("2001:db8::1", "[IPv6:2001:db8::1]"),
        ("fe80::1%eth0", "[IPv6:fe80::1]"),
    ],
)
def test_address_is_written_as_a_literal(address: str, literal: str) -> None:
    assert address_literal(address) == literal


@given(st.text(max_size=60), st.text(alphabet='<>@."[]\\:, ab-', max_size=40))
def test_mailbox_contains_no_line_end_or_control_character(text: str, path_like: str) -> None:
    for argument in (text, path_like, f"<{text}@b>", f"<{path_like}@b>"):
        path = parse_forward_path(argument)
        if path is not None:
            mailbox, rest = path
            assert argument.endswith(rest)
            assert mailbox.isprintable() or not mailbox.isascii()
            assert not set(mailbox) & set("\r\n\0\x85")


@pytest.mark.parametrize("text", ["<" + "a" * 5000, '<"' + "\\a" * 3000, "<" + "@a," * 2000, "<a@" + "-" * 5000])
def test_long_malformed_path_is_refused_in_linear_time(text: str) -> None:
    assert parse_reverse_path(text) is None
