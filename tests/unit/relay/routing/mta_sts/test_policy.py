"""The grammar of a policy (RFC 8461 §3.2), and which hosts it names (§4.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_relay.routing.mta_sts.policy import (
    MAX_AGE_SECONDS,
    MAX_PATTERNS,
    MAX_POLICY_OCTETS,
    Mode,
    Policy,
    parse_policy,
)

# The example of §3.2.
EXAMPLE = (
    "version: STSv1\r\n"
    "mode: enforce\r\n"
    "mx: mail.example.com\r\n"
    "mx: *.example.net\r\n"
    "mx: backupmx.example.com\r\n"
    "max_age: 604800\r\n"
)
PARSED = Policy(Mode.ENFORCE, ("mail.example.com", "*.example.net", "backupmx.example.com"), 604_800)

POLICIES = {
    EXAMPLE: PARSED,
    EXAMPLE.replace("\r\n", "\n"): PARSED,
    EXAMPLE.removesuffix("\r\n"): PARSED,
    EXAMPLE + "\r\n\r\n": PARSED,
    EXAMPLE.replace("\r\n", " \t\r\n"): PARSED,
    EXAMPLE.replace(": ", ":"): PARSED,
    EXAMPLE.replace(": ", ":\t  "): PARSED,
    "max_age: 1\nmx: a.test\nmode: testing\nversion: STSv1": Policy(Mode.TESTING, ("a.test",), 1),
    EXAMPLE + "extension: grüße\nother.x_-: a: b=c": PARSED,
    # a repeated field other than mx is ignored
    EXAMPLE + "mode: none\nversion: STSv2\nmax_age: 1\n": PARSED,
    "version: STSv1\nmode: none\nmax_age: 86400\n": Policy(Mode.NONE, (), 86_400),
    "version: STSv1\nmode: enforce\nmx: MX.Example.TEST\nmax_age: 0": Policy(Mode.ENFORCE, ("mx.example.test",), 0),
    EXAMPLE.replace("604800", "9999999999"): Policy(PARSED.mode, PARSED.patterns, MAX_AGE_SECONDS),
}
INVALID = [
    "",
    "\n",
    EXAMPLE.replace("version: STSv1\r\n", ""),
    EXAMPLE.replace("mode: enforce\r\n", ""),
    EXAMPLE.replace("max_age: 604800\r\n", ""),
    EXAMPLE.replace("STSv1", "STSv2"),
    EXAMPLE.replace("STSv1", "stsv1"),
    EXAMPLE.replace("enforce", "Enforce"),
    EXAMPLE.replace("enforce", "report"),
    EXAMPLE.replace("604800", "-1"),
    EXAMPLE.replace("604800", "604800s"),
    EXAMPLE.replace("604800", "10000000000"),
    EXAMPLE.replace("604800", "٣"),
    EXAMPLE.replace("mode", "Mode"),
    EXAMPLE.replace("mode:", "mode :"),
    EXAMPLE.replace("mode:", " mode:"),
    EXAMPLE + "no colon",
    EXAMPLE + "-key: a",
    EXAMPLE + "k" * 33 + ": a",
    EXAMPLE + "key: a\0b",
    EXAMPLE.replace("\r\n", "\r"),
    "version: STSv1\nmode: enforce\nmax_age: 1\n",
    "version: STSv1\nmode: testing\nmax_age: 1\n",
    *(EXAMPLE.replace("*.example.net", pattern) for pattern in (
        "*", "*.", "", ".", ".example.net", "example.net.", "*.*.example.net", "a.*.example.net", "*a.example.net",
        "-a.example.net", "a b.test", "bücher.example", "a_\u0301.test", "[192.0.2.1]", "a" * 64 + ".test",
        "a." * 128 + "a",
    )),
]  # fmt: skip


@pytest.mark.parametrize(("text", "policy"), POLICIES.items())
def test_a_policy_is_parsed(text: str, policy: Policy) -> None:
    assert parse_policy(text.encode()) == policy


@pytest.mark.parametrize("text", INVALID)
def test_an_invalid_policy_is_none(text: str) -> None:
    assert parse_policy(text.encode()) is None


def test_octets_that_are_no_utf_8_are_invalid() -> None:
    assert parse_policy(EXAMPLE.encode() + b"key: \xff") is None


def test_a_policy_is_bounded() -> None:
    extension = "x: " + "a" * (MAX_POLICY_OCTETS - len(EXAMPLE) - 3)
    assert parse_policy((EXAMPLE + extension).encode()) == PARSED
    assert parse_policy((EXAMPLE + extension + "a").encode()) is None
    patterns = "mx: a.test\n" * (MAX_PATTERNS - len(PARSED.patterns))
    assert parse_policy((EXAMPLE + patterns).encode()) is not None
    assert parse_policy((EXAMPLE + patterns + "mx: a.test\n").encode()) is None


@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("mail.example.com", True),
        ("MAIL.Example.COM", True),
        ("mail.example.com.", True),
        ("a.mail.example.com", False),
        ("example.com", False),
        ("a.example.net", True),
        ("A.EXAMPLE.net.", True),
        ("example.net", False),
        ("a.b.example.net", False),
        (".example.net", False),
        ("*.example.net", True),
        ("xexample.net", False),
        ("net", False),
        ("", False),
        ("192.0.2.1", False),
    ],
)
def test_a_wildcard_stands_for_one_label(name: str, matches: bool) -> None:
    assert PARSED.matches(name) is matches


LINES = st.sampled_from([*EXAMPLE.splitlines(), "mode: testing", "max_age:", "mx: *.a", "x", "", "x: y", "\r"])


@given(st.lists(st.one_of(LINES, st.text(max_size=20)), max_size=10), st.sampled_from(["\n", "\r\n"]))
def test_any_octets_are_a_policy_or_none(lines: list[str], end: str) -> None:
    policy = parse_policy(end.join(lines).encode())
    if policy is not None:
        assert 0 <= policy.max_age <= MAX_AGE_SECONDS
        assert policy.patterns or policy.mode is Mode.NONE
        assert all(policy.matches(pattern.replace("*", "a")) for pattern in policy.patterns)
