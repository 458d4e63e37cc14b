"""Sections of BODY[…] and BINARY[…], compared with the standard library's parser and with tables."""

import base64
import email
import email.policy
import quopri
import re
from collections.abc import AsyncIterator, Iterator
from email.message import Message
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_imap.commands import Body, Fetch, Section, SectionText
from relate_imap.fetch.sections import Span, choose_fields, find_span, header_section, parts_of
from relate_imap.handlers.fetch import on_fetch
from relate_imap.selected.sequence_set import make_set
from relate_mime import decode_part, header_fields, index_message
from relate_mime.streams import clip, decode, measure
from relate_mime.transfer import decode_transfer
from tests.support import corpus, factories
from tests.unit.imap.handler_harness import open_harness

# --- sections, against the standard library

TEXT = st.text("abc XYZ=é\n-", max_size=60).map(lambda text: text.replace("\n", "\r\n"))
LEAF = st.builds(
    lambda subtype, text: f"Content-Type: text/{subtype}; charset=utf-8\r\n\r\n{text}",
    st.sampled_from(["plain", "html"]),
    TEXT,
)
MESSAGE_HEADER = "From: ann@example.org\r\nSubject: inner\r\n"


def multipart(parts: list[str], boundary: str) -> str:
    inside = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    return f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n{inside}--{boundary}--'


def attached(message: str) -> str:
    return f"Content-Type: message/rfc822\r\n\r\n{MESSAGE_HEADER}{message}"


def trees() -> st.SearchStrategy[str]:
    """Nested parts, with a boundary per level: it includes the size and depth of its content."""
    return st.recursive(
        LEAF,
        lambda parts: st.one_of(
            st.builds(
                lambda inside: multipart(inside, f"=_b{sum(map(len, inside))}_{max(map(depth, inside))}"),
                st.lists(parts, min_size=1, max_size=3),
            ),
            st.builds(attached, parts),
        ),
        max_leaves=6,
    )


def depth(part: str) -> int:
    return part.count("boundary=")


def walk(message: Message, prefix: str = "") -> Iterator[tuple[str, Message]]:
    """Part numbers as in RFC 9051 §6.4.5.1."""
    if message.get_content_maintype() != "multipart":
        yield from walk_part(message, prefix + "1")
        return
    for number, part in enumerate(message.get_payload(), 1):
        assert isinstance(part, Message)
        yield from walk_part(part, f"{prefix}{number}")


def walk_part(part: Message, number: str) -> Iterator[tuple[str, Message]]:
    yield number, part
    if part.get_content_type() == "message/rfc822":
        inside = part.get_payload(0)
        assert isinstance(inside, Message)
        yield from walk(inside, f"{number}.")
    elif part.is_multipart():
        yield from walk(part, f"{number}.")


def octets(raw: bytes, section: Section) -> bytes | None:
    span = find_span(section, parts_of(index_message(raw)), len(raw))
    return None if span is None else raw[slice(*span)]


@given(trees())
def test_sections_match_the_standard_library(tree: str) -> None:
    raw = (MESSAGE_HEADER + tree).encode()
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    numbers = [number for number, _ in walk(message)]
    index = index_message(raw)
    assert numbers == [part.section for part in index.parts if part.section[-1:].isdigit()]
    for number, part in walk(message):
        if not part.is_multipart():
            assert octets(raw, Section(number)) == part.get_payload(decode=True)
        mime = octets(raw, Section(number, SectionText.MIME))
        assert mime is not None
        assert (
            b"".join(b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in part.items()) + b"\r\n" == mime
        )
        if part.get_content_type() == "message/rfc822":
            whole = octets(raw, Section(number)) or b""
            header, text = (octets(raw, Section(number, text)) for text in (SectionText.HEADER, SectionText.TEXT))
            assert (header or b"") + (text or b"") == whole
            assert (header or b"").startswith(b"From: ann@example.org\r\nSubject: inner\r\n")
            assert (header or b"").endswith(b"\r\n\r\n")
        else:
            assert octets(raw, Section(number, SectionText.HEADER)) is None


@pytest.mark.parametrize("raw", corpus.odd().values(), ids=corpus.odd())
def test_header_and_text_concatenate_to_message(raw: bytes) -> None:
    header, text = octets(raw, Section("", SectionText.HEADER)), octets(raw, Section("", SectionText.TEXT))
    assert header is not None
    assert text is not None
    assert header + text == raw == octets(raw, Section())


@pytest.mark.parametrize("number", ["3", "1.3", "2.1", "1.1.1", "0"])
def test_missing_part_is_none(number: str) -> None:
    for text in (SectionText.CONTENT, SectionText.MIME, SectionText.HEADER, SectionText.TEXT, SectionText.FIELDS):
        assert octets(factories.multipart(), Section(number, text)) is None


# --- fields


def fields(header: bytes, *names: str, without: bool = False) -> bytes:
    return choose_fields(Section("", SectionText.FIELDS_NOT if without else SectionText.FIELDS, names))(header)


HEADER = b"To: a,\r\n\tb\r\nX-To: c\r\nSubject : d\r\nto: e\r\nFrom: To: f\r\n\r\n"


@pytest.mark.parametrize(
    ("names", "chosen", "rest"),
    [
        (["TO"], b"To: a,\r\n\tb\r\nto: e\r\n\r\n", b"X-To: c\r\nSubject : d\r\nFrom: To: f\r\n\r\n"),
        (["SUBJECT", "FROM"], b"Subject : d\r\nFrom: To: f\r\n\r\n", b"To: a,\r\n\tb\r\nX-To: c\r\nto: e\r\n\r\n"),
        (["T"], b"\r\n", HEADER),
        (["T.", "(X"], b"\r\n", HEADER),
        (["X-TO", "X-TO"], b"X-To: c\r\n\r\n", HEADER.replace(b"X-To: c\r\n", b"")),
    ],
)
def test_header_fields_are_selected(names: list[str], chosen: bytes, rest: bytes) -> None:
    assert fields(HEADER, *names) == chosen
    assert fields(HEADER, *names, without=True) == rest


def test_header_fields_end_with_empty_line() -> None:
    assert fields(b"Subject: that is all", "SUBJECT") == b"Subject: that is all\r\n\r\n"
    assert fields(b"", "SUBJECT") == b"\r\n"


@pytest.mark.parametrize("raw", [*corpus.odd().values(), *corpus.library().values()])
def test_header_fields_match_the_index(raw: bytes) -> None:
    root = index_message(raw).parts[0]
    header = raw[root.header : root.body]
    spans = [(field.name.upper(), header[slice(*field.span)]) for field in header_fields(header, 0, len(header))]
    for name in {name.decode() for name, _ in spans[:50]} | {"X-MISSING"}:
        chosen, rest = fields(header, name), fields(header, name, without=True)
        assert chosen.removesuffix(b"\r\n").rstrip(b"\r\n") == b"".join(
            lines for each, lines in spans if each == name.encode()
        ).rstrip(b"\r\n")
        assert rest.rstrip(b"\r\n") == b"".join(lines for each, lines in spans if each != name.encode()).rstrip(b"\r\n")


# --- partials

PARTIAL = st.tuples(st.integers(0, 50), st.integers(1, 50))


@given(st.integers(0, 20), st.integers(0, 40), PARTIAL)
def test_partial_of_span_is_slice(start: int, length: int, partial: tuple[int, int]) -> None:
    raw = bytes(range(70))
    span = Span(start, start + length)
    clipped = span.clip(partial)
    offset, count = partial
    assert raw[slice(*clipped)] == raw[slice(*span)][offset : offset + count]
    assert clipped.octets == len(raw[slice(*clipped)])
    assert span.clip(None) == span
    header = Section("", SectionText.HEADER)
    assert header_section(header, raw, partial) == raw[offset : offset + count]


async def pieces_of(octets: bytes, cuts: list[int]) -> AsyncIterator[bytes]:
    places = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    for start, stop in pairwise(places):
        yield octets[start:stop]


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=5), PARTIAL)
async def test_partial_of_chunks_is_slice(octets: bytes, cuts: list[int], partial: tuple[int, int]) -> None:
    clipped = [piece async for piece in clip(pieces_of(octets, cuts), partial)]
    assert b"".join(clipped) == octets[partial[0] : partial[0] + partial[1]]


async def test_partial_stops_reading_at_its_end() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"abc"

    assert b"".join([piece async for piece in clip(endless(), (2, 5))]) == b"cabca"


# --- transfer encodings

WELL_ENCODED = st.one_of(
    st.binary(max_size=200).map(lambda octets: ("base64", base64.encodebytes(octets).replace(b"\n", b"\r\n"))),
    st.binary(max_size=200).map(lambda octets: ("quoted-printable", quopri.encodestring(octets))),
    st.binary(max_size=200).map(lambda octets: ("8bit", octets)),
)


@given(WELL_ENCODED, st.lists(st.integers(0, 300), max_size=5))
async def test_streaming_decoder_equals_one_shot_decoder(encoded: tuple[str, bytes], cuts: list[int]) -> None:
    encoding, octets = encoded
    whole = decode_transfer(octets, encoding)
    assert b"".join([piece async for piece in decode(pieces_of(octets, cuts), encoding)]) == whole
    measured = await measure(lambda: decode(pieces_of(octets, cuts), encoding))
    assert measured == (len(whole), b"\0" in whole, whole)


@given(
    st.sampled_from(["base64", "quoted-printable"]),
    st.binary(max_size=80) | st.text("=\r\nA0 \t", max_size=80).map(str.encode),
    st.lists(st.integers(0, 80), max_size=5),
)
async def test_decoding_damaged_content_is_independent_of_chunks(encoding: str, octets: bytes, cuts: list[int]) -> None:
    one = b"".join([piece async for piece in decode(pieces_of(octets, []), encoding)])
    other = b"".join([piece async for piece in decode(pieces_of(octets, cuts), encoding)])
    assert one == other


async def test_large_content_is_measured_without_buffering() -> None:
    async def large() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 65_536

    measured = await measure(large)
    assert (measured.octets, measured.has_nul, measured.content) == (20 * 65_536, False, None)


@pytest.mark.parametrize("size", [1_000, 3_000_000])
async def test_binary_decodes_attachment(size: int) -> None:
    raw = corpus.big()["big-attachment"]
    raw = raw[: raw.index(b"\r\n\r\n", raw.index(b"pdf")) + 4 + size // 3 * 4]
    part = next(part for part in index_message(raw).parts if part.section == "2")
    harness = await open_harness(raw)
    body = Body(Section("2"), b"BINARY[2]", peek=True, binary=True)
    result = await harness.execute(on_fetch, Fetch("a1", "FETCH", make_set([(1, 1)]), (body,)))
    assert result.fetched[1]["BINARY[2]"] == decode_part(raw, part)
    assert re.match(rb"\* 1 FETCH \(BINARY\[2\] ~?\{\d+\}\r\n", result.octets)
