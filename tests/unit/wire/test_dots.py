"""Dot-stuffing in both directions, and known SMTP smuggling sequences."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_wire.dots import END, DotDecoder, DotEncoder, LineEndScanner, find_fault
from relate_wire.lines import LineFault
from tests.support.examples import examples
from tests.support.feed import NEXT_COMMAND, every_cut, feed_every_way

LIMIT_OCTETS = 10_000

quick = settings(max_examples=examples(100))

# Significant octets and pairs of them, more frequent than in random octets.
octets = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"\r\n.", b"\0", b"a", b"word"]) | st.binary(max_size=5),
    max_size=30,
).map(b"".join)
crlf_content = st.lists(st.sampled_from([b"", b".", b"..", b".a", b"a", b"text", b"\xff"])).map(
    lambda lines: b"".join(line + b"\r\n" for line in lines)
)


@dataclass
class Decoded:
    """The final state of a decoder."""

    content: bytes
    size: int
    fault: LineFault | None = None
    too_large: bool = False


def make() -> DotDecoder:
    return DotDecoder(LIMIT_OCTETS)


def decode(decoder: DotDecoder, piece: bytes) -> list[Decoded]:
    was_done = decoder.done
    used = decoder.feed(piece)
    assert decoder.done or used == len(piece)
    if was_done or not decoder.done:
        return []
    return [Decoded(decoder.content(), decoder.size, decoder.fault, decoder.too_large)]


def decode_every_way(data: bytes) -> list[Decoded]:
    return feed_every_way(make, data, decode, glued=NEXT_COMMAND if data.endswith(END) else b"")


def encode(pieces: list[bytes]) -> bytes:
    encoder = DotEncoder()
    return b"".join(map(encoder.encode, pieces)) + encoder.finish()


# --- decoding


@pytest.mark.parametrize(
    ("wire", "content"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"text\r\n.\r\n", b"text\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"...\r\n.\r\n", b"..\r\n"),
        (b".text\r\n.\r\n", b"text\r\n"),
        (b"a\r\n..\r\n..b\r\n.\r\n", b"a\r\n.\r\n.b\r\n"),
        (b"a.\r\n.b.\r\n.\r\n", b"a.\r\nb.\r\n"),
        (b"\r\n\r\n..\r\n\r\n.\r\n", b"\r\n\r\n.\r\n\r\n"),
        (b"\xff\xfe\x80\r\n.\r\n", b"\xff\xfe\x80\r\n"),
    ],
)
def test_decoder_ends_at_the_final_dot_and_removes_stuffed_dots(wire: bytes, content: bytes) -> None:
    assert decode_every_way(wire) == [Decoded(content, len(content))]


@pytest.mark.parametrize("wire", [b"", b".", b".\r", b"text", b"text\r\n", b"text\r\n.", b"text\r\n.\r", b"..\r\n"])
def test_incomplete_content_is_not_done(wire: bytes) -> None:
    assert decode_every_way(wire) == []


@pytest.mark.parametrize("wire", [b".\r\n", b"text\r\n.\r\n", b"text\r\n..\r\n.\r\n"])
def test_octets_after_the_final_dot_are_not_consumed(wire: bytes) -> None:
    for after in (b"", b"Q", b"QUIT\r\n", b".\r\n", b"\r\n.\r\n"):
        for cut in range(len(wire)):
            decoder = make()
            assert decoder.feed(wire[:cut]) == cut
            assert decoder.feed(wire[cut:] + after) == len(wire) - cut
            assert decoder.feed(after) == 0


def test_content_of_exactly_the_limit_is_kept() -> None:
    wire = b"12345678\r\n.\r\n"
    assert feed_every_way(lambda: DotDecoder(10), wire, decode) == [Decoded(b"12345678\r\n", 10)]
    assert feed_every_way(lambda: DotDecoder(9), wire, decode) == [Decoded(b"", 10, too_large=True)]
    assert feed_every_way(lambda: DotDecoder(0), wire, decode) == [Decoded(b"", 10, too_large=True)]


def test_stuffed_dots_do_not_count_towards_the_limit() -> None:
    assert feed_every_way(lambda: DotDecoder(3), b"..\r\n.\r\n", decode) == [Decoded(b".\r\n", 3)]


def test_content_beyond_the_limit_is_discarded_and_counted() -> None:
    decoder = DotDecoder(100)
    for _ in range(1000):
        decoder.feed(b"..23456789\r\n" * 10)
    assert (decoder.too_large, decoder.done) == (True, False)
    assert decoder.feed(b".\r\nQUIT\r\n") == 3
    assert (decoder.too_large, decoder.done) == (True, True)
    assert decoder.size == 1000 * 10 * 11
    assert decoder.content() == b""


@pytest.mark.parametrize("size", [997, 4096, 65_536, 1_000_000])
def test_long_content_is_joined_from_its_blocks(size: int) -> None:
    content = b"".join(b"." * (number % 3) + b"line %d\r\n" % number for number in range(20_000))
    wire = encode([content])
    decoder = DotDecoder(len(content))
    for start in range(0, len(wire), size):
        decoder.feed(wire[start : start + size])
    assert decoder.done
    assert decoder.content() == content
    assert decoder.size == len(content)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"clean\r\n\r\n", None),
        (b"bare\nLF\r\n", LineFault.BARE_LF),
        (b"\nLF first\r\n", LineFault.BARE_LF),
        (b"LF twice\r\n\n\r\n", LineFault.BARE_LF),
        (b"bare\rCR\r\n", LineFault.BARE_CR),
        (b"CR twice\r\r\n", LineFault.BARE_CR),
        (b"\rCR first\r\n", LineFault.BARE_CR),
        (b"N\0L\r\n", None),
        (b"\0\n\r \r\n", LineFault.BARE_LF),
        (b"\n\0\r \r\n", LineFault.BARE_LF),
        (b"\r\0\n \r\n", LineFault.BARE_CR),
    ],
)
def test_the_first_fault_is_reported_and_content_is_unchanged(content: bytes, fault: LineFault | None) -> None:
    assert decode_every_way(content + b".\r\n") == [Decoded(content, len(content), fault)]


@quick
@given(data=octets)
def test_any_octets_give_the_same_content_in_every_cut(data: bytes) -> None:
    decode_every_way(data)
    decode_every_way(data + END)


def decode_line_by_line(data: bytes) -> tuple[bytes | None, bytes]:
    """RFC 5321 §4.5.2 line by line: returns the content (None if incomplete) and the octets after it."""
    content, rest = b"", data
    while b"\r\n" in rest:
        line, rest = rest.split(b"\r\n", 1)
        if line == b".":
            return content, rest
        content += line.removeprefix(b".") + b"\r\n"
    return None, rest


@quick
@given(data=octets)
def test_decoder_agrees_with_a_line_by_line_decoder(data: bytes) -> None:
    expected, rest = decode_line_by_line(data)
    decoder = make()
    used = decoder.feed(data)
    assert decoder.done == (expected is not None)
    if expected is not None:
        assert decoder.content() == expected
        assert data[used:] == rest


@quick
@given(data=octets)
def test_fault_agrees_with_an_octet_by_octet_search(data: bytes) -> None:
    expected = None
    for at, octet in enumerate(data):
        if octet == 0x0D and data[at + 1 : at + 2] != b"\n":
            expected = LineFault.BARE_CR
        elif octet == 0x0A and data[max(at - 1, 0) : at] != b"\r":
            expected = LineFault.BARE_LF
        if expected:
            break
    assert find_fault(data) is expected
    for pieces in every_cut(data):
        scanner = LineEndScanner()
        for piece in pieces:
            scanner.feed(piece)
        assert scanner.finish() is expected


# --- smuggling: SEC Consult's "SMTP Smuggling" of December 2023, and later findings

SMUGGLED = b"MAIL FROM:<admin@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nforged\r\n"
FALSE_ENDS = {
    "LF.LF": b"\n.\n",
    "CR.CR": b"\r.\r",
    "LF.CRLF": b"\n.\r\n",
    "CR.CRLF": b"\r.\r\n",
    "CRLF.LF": b"\r\n.\n",
    "CRLF.CR": b"\r\n.\r",
    "CRLF.CRCRLF": b"\r\n.\r\r\n",
    "CRCRLF.LF": b"\r\r\n.\n",
    "LF.CR": b"\n.\r",
    "CR.LF": b"\r.\n",
    "LFCR.LFCR": b"\n\r.\n\r",
    "CRLF NUL.CRLF": b"\r\n\0.\r\n",
    "CRLF.NUL CRLF": b"\r\n.\0\r\n",
    "CR NUL LF.CRLF": b"\r\0\n.\r\n",
    "CRLF.CR NUL LF": b"\r\n.\r\0\n",
    "CRLF.space CRLF": b"\r\n. \r\n",
    "CRLF space.CRLF": b"\r\n .\r\n",
}


@pytest.mark.parametrize("false_end", FALSE_ENDS.values(), ids=FALSE_ENDS.keys())
def test_smtp_smuggling_is_one_message_in_every_cut(false_end: bytes) -> None:
    wire = b"innocent" + false_end + SMUGGLED
    content = wire.replace(b"\r\n.", b"\r\n")
    [decoded] = decode_every_way(wire + b".\r\n")
    assert decoded.content == content
    harmless = (b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n. \r\n", b"\r\n .\r\n")
    assert (decoded.fault is None) == (false_end in harmless)


@pytest.mark.parametrize("false_end", [b".\n", b".\r", b"\n.\r\n", b"\r.\r\n"])
def test_smtp_smuggling_at_the_start_of_content(false_end: bytes) -> None:
    [decoded] = decode_every_way(false_end + SMUGGLED + b".\r\n")
    assert decoded.content.endswith(SMUGGLED)
    assert decoded.fault is not None


def test_smtp_smuggling_by_a_cut_before_the_dot_of_a_bare_lf() -> None:
    decoder = make()
    for piece in (b"innocent\n", b".", b"\r\n", SMUGGLED):
        decoder.feed(piece)
        assert not decoder.done


# --- encoding


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b"", b".\r\n"),
        (b"text", b"text\r\n.\r\n"),
        (b"text\r\n", b"text\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"..\r\n.a\r\nb.\r\n", b"...\r\n..a\r\nb.\r\n.\r\n"),
        (b"text\r", b"text\r\r\n.\r\n"),
        (b"text\n", b"text\n\r\n.\r\n"),
        (b"bare\n.LF\r\n", b"bare\n.LF\r\n.\r\n"),
        (b"\r\n", b"\r\n.\r\n"),
    ],
)
def test_encoder_gives_the_same_result_in_every_cut(content: bytes, wire: bytes) -> None:
    assert encode([content]) == wire
    for pieces in every_cut(content):
        assert encode(pieces) == wire


def test_empty_chunks_change_nothing() -> None:
    assert encode([b"", b"a\r\n", b"", b".", b"", b"\r\n", b""]) == b"a\r\n..\r\n.\r\n"


def test_a_chunk_without_a_dot_to_stuff_is_not_copied() -> None:
    encoder = DotEncoder()
    for chunk in (b"a.\r", b"\n", b"b\r\n", b"", b"c.d\r\n"):
        assert encoder.encode(chunk) is chunk
    assert encoder.encode(b".e") == b"..e"


@quick
@given(content=crlf_content)
def test_encoding_and_decoding_round_trips(content: bytes) -> None:
    wire = encode([content])
    assert decode_every_way(wire) == [Decoded(content, len(content))]
    for pieces in every_cut(content):
        assert encode(pieces) == wire


@quick
@given(data=octets)
def test_no_content_contains_its_own_end(data: bytes) -> None:
    decoder = make()
    wire = encode([data])
    assert decoder.feed(wire + NEXT_COMMAND) == len(wire)
    assert decoder.content() == (data if data.endswith(b"\r\n") or not data else data + b"\r\n")
