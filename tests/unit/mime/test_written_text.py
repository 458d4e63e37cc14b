"""Text of strangers is printable, in one line, and bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_mime.writing.text import MAX_LINE_OCTETS, date_time, visible, wrap


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("550 No such user", "550 No such user"),
        ("grüße 😀", "grüße 😀"),
        ("a\r\nb\0c\x1b[2J", r"a\r\nb\x00c\x1b[2J"),
        ("\u202efdp.exe", r"\u202efdp.exe"),  # a directional mark
        ("\u2028\x85", r"\u2028\x85"),  # line ends of Unicode
        ("\ud800", r"\ud800"),
        (r"C:\temp", r"C:\temp"),
    ],
)
def test_what_is_not_printable_is_escaped(text: str, expected: str) -> None:
    assert visible(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("grüße 😀", r"gr\xfc\xdfe \U0001f600"),
        (r'"a\"b"@example.com', r'"a\"b"@example.com'),
        ("\\\r\\é", r"\\r\\xe9"),
    ],
)
def test_text_of_an_ascii_part_is_ascii(text: str, expected: str) -> None:
    assert visible(text, ascii_only=True) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("abcdefgh", "abcdefgh"), ("abcdefghi", "abcde…"), ("éééé", "éééé"), ("ééééé", "éé…")]
)
def test_a_long_text_is_cut_between_characters(text: str, expected: str) -> None:
    assert visible(text, 8) == expected


@given(st.text(), st.integers(8, 60), st.booleans())
def test_a_visible_text_is_one_bounded_printable_line(text: str, max_octets: int, ascii_only: bool) -> None:
    shown = visible(text, max_octets, ascii_only=ascii_only)
    assert shown.isprintable()
    assert len(shown.encode()) <= max_octets
    assert shown.isascii() or not ascii_only


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters=" "), min_size=1)), st.sampled_from(["", "> "]))
def test_wrapped_lines_have_all_words(words: list[str], prefix: str) -> None:
    lines = list(wrap(" ".join(words), prefix))
    assert all(line.startswith(prefix) for line in lines)
    assert [word for line in lines for word in line.removeprefix(prefix).split(" ") if word] == words
    assert all(len(line.encode()) <= MAX_LINE_OCTETS or " " not in line.removeprefix(prefix) for line in lines)


def test_a_date_is_in_utc_with_a_numeric_zone() -> None:  # RFC 3464 §2.3.7
    assert date_time(1_795_996_800.9) == "Mon, 30 Nov 2026 00:00:00 +0000"
