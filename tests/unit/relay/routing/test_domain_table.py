"""A table of values by domain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_relay.routing.domain_table import parse_domain_table

TABLE = parse_domain_table("example.test=a, .example.test = b,.sub.example.test=c,bücher.example=d,", str)


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        ("example.test", "a"),
        ("EXAMPLE.test.", "a"),
        ("mx.example.test", "b"),
        ("a.mx.example.test", "b"),
        ("sub.example.test", "b"),
        ("a.sub.example.test", "c"),
        ("bücher.example", "d"),
        ("xn--bcher-kva.example", "d"),
        ("mail.bücher.example", None),
        ("notexample.test", None),
        ("test", None),
        ("[192.0.2.1]", None),
        ("", None),
    ],
)
def test_the_nearest_entry_counts(domain: str, value: str | None) -> None:
    assert TABLE.find(domain) == value


@pytest.mark.parametrize("text", ["example.test", "=a", ".=a", "a b=c", "-a=b", "example.test=a,EXAMPLE.test=b"])
def test_a_malformed_or_repeated_entry_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not domain=value|is repeated"):
        parse_domain_table(text, str)


def test_an_empty_table_has_no_values() -> None:
    assert parse_domain_table(" , ", str).find("example.test") is None


@given(st.text(max_size=100))
def test_any_text_is_a_table_or_a_value_error(text: str) -> None:
    try:
        table = parse_domain_table(text, str)
    except ValueError:
        return
    assert table.find("not-in-any-table.test") is None
