"""The relaxed canonicalisation (RFC 6376 §3.4)."""

import hashlib
import re
from base64 import b64encode
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_relay.dkim.canonical import BLOCK_OCTETS, RelaxedBody, canonical_field

PIECES = (b"\r\n", b"\r", b"\n", b" ", b"\t", b"  ", b" \t ", b"a", b"word", b".", b" \r\n", b"\xff", b"\0")
bodies = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)


def relaxed(*chunks: bytes) -> bytes:
    written: list[bytes] = []
    body = RelaxedBody(lambda octets: written.append(bytes(octets)))
    for chunk in chunks:
        body.feed(chunk)
    body.finish()
    return b"".join(written)


def reference(body: bytes) -> bytes:
    """RFC 6376 §3.4.4, line by line."""
    lines = [re.sub(rb"[ \t]+", b" ", line).removesuffix(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


def test_the_example_of_the_rfc() -> None:  # RFC 6376 §3.4.5, example 1
    assert canonical_field(b"A: X\r\n") + canonical_field(b"B : Y\t\r\n\tZ  \r\n") == b"a:X\r\nb:Y Z\r\n"
    assert relaxed(b" C \r\nD \t E\r\n\r\n\r\n") == b" C\r\nD E\r\n"


def test_the_hash_of_an_empty_body() -> None:  # RFC 6376 §3.4.4
    digest = hashlib.sha256()
    RelaxedBody(digest.update).finish()

    assert b64encode(digest.digest()) == b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


FIELDS = {
    b"Subject: AbC\r\n": b"subject:AbC\r\n",  # lower case: the name alone
    b"SUBJECT:AbC": b"subject:AbC\r\n",
    b"Subject \t:\t a \t b \t\r\n": b"subject:a b\r\n",  # around the colon, and at the end
    b"Subject:\r\n a\r\n\tb\r\n \r\n": b"subject:a b\r\n",  # folded
    b"X: a: b\r\n": b"x:a: b\r\n",
    b"X:\r\n": b"x:\r\n",
    b"X: \xc3\xbc\r\n": b"x:\xc3\xbc\r\n",
    b"X: a\rb\nc\r\n": b"x:a\rb\nc\r\n",  # no line ends
}


@pytest.mark.parametrize(("field", "canonical"), FIELDS.items())
def test_a_field(field: bytes, canonical: bytes) -> None:  # RFC 6376 §3.4.2
    assert canonical_field(field) == canonical


BODIES = {
    b"": b"",
    b"\r\n": b"",
    b"\r\n\r\n \r\n\t\r\n": b"",  # only empty lines
    b" ": b"",
    b"a": b"a\r\n",
    b"a ": b"a\r\n",
    b"a\r\n": b"a\r\n",
    b"a\r\n\r\n \t\r\n": b"a\r\n",
    b"\r\na": b"\r\na\r\n",
    b" a\r\n": b" a\r\n",
    b"a\t b \r\n": b"a b\r\n",
    b"a\nb\rc\r\r\n\n": b"a\nb\rc\r\r\n\n\r\n",  # bare CR and LF are no line ends
    b"a\r": b"a\r\r\n",
    b"a \r": b"a \r\r\n",
    b"a \n\r\n": b"a \n\r\n",
    b"\n\r\n\r\n": b"\n\r\n",
}


@pytest.mark.parametrize(("body", "canonical"), BODIES.items())
def test_a_body(body: bytes, canonical: bytes) -> None:  # RFC 6376 §3.4.4
    assert relaxed(body) == canonical == reference(body)


@given(bodies)
def test_a_body_equals_the_reference(body: bytes) -> None:
    assert relaxed(body) == reference(body)


@given(bodies, st.lists(st.integers(0, 100)))
def test_the_chunks_do_not_matter(body: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]

    assert relaxed(*(body[start:stop] for start, stop in pairwise(edges))) == reference(body)
    assert relaxed(*(body[index : index + 1] for index in range(len(body)))) == reference(body)


@pytest.mark.parametrize("unit", [b" ", b"\t", b"\r\n", b"\r", b"\n", b" \r\n", b"a\r\n", b"a ", b"\r\r\n", b"ab"])
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_a_block_may_end_anywhere(unit: bytes, shift: int) -> None:
    body = b"x" * shift + unit * (2 * BLOCK_OCTETS // len(unit)) + b"x"

    assert relaxed(body) == reference(body)
    assert relaxed(body[:-1]) == reference(body[:-1])


def test_a_body_that_needs_no_rewriting_is_not_copied() -> None:
    body = (b"x" * 62 + b"\r\n") * 10_000
    written: list[object] = []
    relaxed_body = RelaxedBody(written.append)
    relaxed_body.feed(body)

    views = [octets for octets in written if isinstance(octets, memoryview)]
    copied = [octets for octets in written if isinstance(octets, bytes)]
    assert all(view.obj is body for view in views)
    assert sum(map(len, views)) > 0.9 * len(body)
    assert set(copied) <= {b"\r\n"}


def test_a_large_body_is_hashed_in_bounded_pieces() -> None:
    sizes: list[int] = []
    body = RelaxedBody(lambda octets: sizes.append(len(octets)))
    body.feed(b"\r\n" * 500_000 + b"a  b" * 500_000)
    body.finish()

    assert max(sizes) <= 2 * BLOCK_OCTETS
