"""`Relay__TlsPolicy`."""

import pytest

from relate_relay.routing.tls_policy import TlsLevel, parse_tls_policies

POLICIES = parse_tls_policies("example.test=verify,.example.test=require,old.test=none,may.test=may")


@pytest.mark.parametrize(
    ("destination", "level"),
    [
        ("example.test", TlsLevel.VERIFY),
        ("mx.example.test", TlsLevel.REQUIRE),
        ("old.test", TlsLevel.NONE),
        ("may.test", TlsLevel.MAY),
        ("other.test", TlsLevel.MAY),
    ],
)
def test_the_level_of_a_destination(destination: str, level: TlsLevel) -> None:
    assert POLICIES.level(destination) is level


def test_a_rule_is_told_from_the_default() -> None:
    assert POLICIES.find("may.test") is TlsLevel.MAY
    assert POLICIES.find("other.test") is None


@pytest.mark.parametrize("text", ["example.test=must", "example.test=", "example.test=VERIFY"])
def test_another_word_is_named_with_those_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="is not one of none, may, require, verify"):
        parse_tls_policies(text)
