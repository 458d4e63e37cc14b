"""mboxrd: quoting, line ends, and pieces that are cut anywhere."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_mime.writing.mbox import MboxEncoder, mbox_separator

PIECES = (b">", b"F", b"r", b"om", b" ", b"From ", b"\r", b"\n", b"\r\n", b"a", b"\0")
texts = st.lists(st.sampled_from(PIECES), max_size=30)


def encode(*pieces: bytes) -> bytes:
    encoder = MboxEncoder()
    return b"".join([*map(encoder.encode, pieces), encoder.finish()])


def test_the_separator_has_the_date_in_utc() -> None:
    assert mbox_separator(0) == b"From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n"


@pytest.mark.parametrize(
    ("raw", "encoded"),
    [
        (b"", b"\n\n"),
        (b"a\r\nFrom b\r\n", b"a\n>From b\n\n"),
        (b"From a", b">From a\n\n"),
        (b">>From a\r\n", b">>>From a\n\n"),
        (b"a From b\r\n", b"a From b\n\n"),
        (b"From:\r\nfrom a\r\n", b"From:\nfrom a\n\n"),
        (b"a\r", b"a\r\n\n"),
    ],
)
def test_lines_that_begin_with_from_are_quoted(raw: bytes, encoded: bytes) -> None:
    assert encode(raw) == encoded
    assert encode(*(raw[place : place + 1] for place in range(len(raw)))) == encoded


@given(pieces=texts)
def test_the_result_does_not_depend_on_the_pieces(pieces: list[bytes]) -> None:
    lines = re.sub(rb"(?m)^(>*From )", rb">\1", b"".join(pieces).replace(b"\r\n", b"\n"))
    assert encode(*pieces) == lines + (b"\n" if lines.endswith(b"\n") else b"\n\n")


def test_a_long_run_of_quotes_is_not_held() -> None:
    encoder = MboxEncoder()
    assert [len(encoder.encode(b">" * 1_000)) for _ in range(3)] == [1_000] * 3
    assert encoder.encode(b"From x") == b">From x"
