"""Rows and values: what a text column cannot hold, and what comes back."""

import pytest

from relate_mailstore.sql.schema.rows import pack_keywords, storable, stored_name, unpack_keywords


@pytest.mark.parametrize(
    ("text", "stored"),
    [("plain", "plain"), ("Grüße 世界 🎈", "Grüße 世界 🎈"), ("a\0b", "a\ufffdb"), ("a\udce9b", "a\ufffdb"), ("", "")],
)
def test_what_a_column_cannot_hold_is_replaced(text: str, stored: str) -> None:
    assert storable(text) == stored
    stored.encode()


def test_a_mailbox_has_one_name_whoever_asks() -> None:
    assert [stored_name(name) for name in ("iNbOx", "Sent", "a\udcff")] == ["INBOX", "Sent", "a\ufffd"]


@pytest.mark.parametrize("keywords", [(), ("todo",), ("$Junk", "todo", "work")])
def test_keywords_come_back(keywords: tuple[str, ...]) -> None:
    assert unpack_keywords(pack_keywords(keywords)) == keywords


@pytest.mark.parametrize("keywords", [("two words",), ("",), ("todo", "")])
def test_what_is_no_keyword_is_refused(keywords: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="space"):
        pack_keywords(keywords)
