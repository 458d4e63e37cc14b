"""Rows and values: characters that a text column cannot hold, and round trips."""

import pytest

from relate_mailstore.sql.schema.rows import pack_keywords, storable, stored_name, unpack_keywords


@pytest.mark.parametrize(
    ("text", "stored"),
    [("plain", "plain"), ("Grüße 世界 🎈", "Grüße 世界 🎈"), ("a\0b", "a\ufffdb"), ("a\udce9b", "a\ufffdb"), ("", "")],
)
def test_unstorable_characters_are_replaced(text: str, stored: str) -> None:
    assert storable(text) == stored
    stored.encode()


def test_a_stored_name_is_canonical() -> None:
    assert [stored_name(name) for name in ("iNbOx", "Sent", "a\udcff")] == ["INBOX", "Sent", "a\ufffd"]


@pytest.mark.parametrize("keywords", [(), ("todo",), ("$Junk", "todo", "work")])
def test_keywords_round_trip(keywords: tuple[str, ...]) -> None:
    assert unpack_keywords(pack_keywords(keywords)) == keywords


@pytest.mark.parametrize("keywords", [("two words",), ("",), ("todo", "")])
def test_an_invalid_keyword_is_refused(keywords: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="space"):
        pack_keywords(keywords)
