"""DKIM signatures: the RFCs' examples, and dkimpy as the oracle."""

import re
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_relay.dkim.keys import SigningKeys, pair_keys
from relate_relay.dkim.offload import sign_message
from relate_relay.dkim.signing import (
    MAX_LINE_OCTETS,
    OVERSIGNED,
    collect_canonical,
    hash_body,
    header_to_sign,
    names_to_sign,
    sign,
)
from tests.support import corpus
from tests.support.examples import examples
from tests.unit.relay.dkim import opendkim
from tests.unit.relay.dkim.examples import (
    BODY,
    BODY_HASH,
    ED25519_FIELD,
    ED25519_PRIVATE,
    ED25519_SIGNATURE,
    HEADER,
    KEYS,
    NOW,
    RSA_FIELD,
    RSA_RECORD,
    RSA_SIGNATURE,
    SIGNED_NAMES,
)
from tests.unit.relay.dkim.verifying import verified

CASES = Path(__file__).parents[3] / "cases" / "mail"


def tags(field: bytes) -> dict[str, str]:
    value = field.partition(b":")[2].decode()
    return {tag.strip(): "".join(text.split()) for tag, _, text in (part.partition("=") for part in value.split(";"))}


def signature_fields(signed: bytes) -> list[bytes]:
    return re.findall(rb"[^ \t].*\r\n(?:[ \t].*\r\n)*", signed)


def signed_octets(field: bytes) -> bytes:
    return header_to_sign(collect_canonical(HEADER), [name.encode() for name in SIGNED_NAMES], field)


def test_the_body_hash_of_the_rfc() -> None:  # RFC 8463 appendix A.3
    assert b64encode(hash_body([BODY])).decode() == BODY_HASH


def test_the_ed25519_signature_of_the_rfc() -> None:  # RFC 8463 appendix A.3
    keys = pair_keys("football.example.com", "x", rsa.generate_private_key(65_537, 1_024), _ed25519())

    assert keys.ed25519 is not None
    assert b64encode(keys.ed25519.sign(signed_octets(ED25519_FIELD))).decode() == ED25519_SIGNATURE


def _ed25519() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(b64decode(ED25519_PRIVATE))


def test_the_rsa_signature_of_the_rfc() -> None:  # RFC 8463 appendix A.3
    public = load_der_public_key(b64decode(RSA_RECORD.partition("p=")[2]))

    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(b64decode(RSA_SIGNATURE), signed_octets(RSA_FIELD), PKCS1v15(), SHA256())
    with pytest.raises(InvalidSignature):
        public.verify(b64decode(RSA_SIGNATURE), signed_octets(RSA_FIELD + b"x"), PKCS1v15(), SHA256())


def test_both_signatures_verify() -> None:
    assert verified(sign(HEADER, [BODY], KEYS, NOW) + HEADER + BODY, KEYS) == [True, True]


def test_rsa_alone_signs() -> None:
    keys = SigningKeys(KEYS.rsa)

    assert verified(sign(HEADER, [BODY], keys, NOW) + HEADER + BODY, keys) == [True]


def test_the_tags() -> None:  # RFC 6376 §3.5
    first, second = (tags(field) for field in signature_fields(sign(HEADER, [BODY], KEYS, NOW)))

    assert (first["a"], first["s"]) == ("rsa-sha256", "2026a")
    assert (second["a"], second["s"]) == ("ed25519-sha256", "2026a-ed25519")
    for found in (first, second):
        assert found["v"] == "1"
        assert found["c"] == "relaxed/relaxed"
        assert found["d"] == "example.test"
        assert found["t"] == str(NOW)
        assert found["bh"] == BODY_HASH
        assert found.keys().isdisjoint({"i", "l", "x", "z"})


def test_fields_that_readers_see_are_signed_once_more_than_they_occur() -> None:  # RFC 6376 §8.15
    header = b"FROM: a\r\nfrom : b\r\nSubject: c\r\nList-Id: d\r\nReceived: e\r\nX-Own: f\r\n"
    names = names_to_sign(collect_canonical(header))

    assert names.count(b"from") == 3
    assert names.count(b"subject") == 2
    assert names.count(b"list-id") == 1
    assert all(names.count(name) == 1 for name in OVERSIGNED if name not in {b"from", b"subject"})
    assert names.count(b"received") == names.count(b"x-own") == 0


@pytest.mark.parametrize("name", OVERSIGNED)
@pytest.mark.parametrize("place", ["first", "last"])
def test_an_added_field_breaks_the_signature(name: bytes, place: str) -> None:
    field, fields = name + b": x\r\n", HEADER.removesuffix(b"\r\n")
    changed = (field + fields if place == "first" else fields + field) + b"\r\n"

    assert verified(sign(HEADER, [BODY], KEYS, NOW) + changed + BODY, KEYS) == [False, False]


def test_a_changed_body_breaks_the_signature() -> None:
    assert verified(sign(HEADER, [BODY], KEYS, NOW) + HEADER + BODY + b"more\r\n", KEYS) == [False, False]


def test_repeated_fields_are_signed_from_the_last_one_on() -> None:  # RFC 6376 §5.4.2
    fields = collect_canonical(b"List-Id: 1\r\nList-Id: 2\r\n")

    assert header_to_sign(fields, [b"list-id"] * 3, b"x: b=") == b"list-id:2\r\nlist-id:1\r\nx:b="


def test_lines_are_folded() -> None:  # RFC 5322 §2.1.1
    header = b"From: a\r\n" + b"References: b\r\n" * 30 + b"List-Unsubscribe-Post: c\r\n" * 5
    signed = sign(header, [], KEYS, NOW)

    assert max(map(len, signed.split(b"\r\n"))) <= MAX_LINE_OCTETS
    assert verified(signed + header + b"\r\n", KEYS) == [True, True]


def test_a_long_domain_is_not_folded() -> None:
    domain = ".".join(["a" * 60] * 3)
    keys = pair_keys(domain, "s" * 50, rsa.generate_private_key(65_537, 1_024), None)

    assert verified(sign(HEADER, [BODY], keys, NOW) + HEADER + BODY, keys) == [True]


ODD = {
    "no body": (b"From: a\r\n\r\n", b""),
    "no empty line": (b"From: a\r\n", b""),
    "only empty lines": (b"From: a\r\n\r\n", b"\r\n\r\n\r\n"),
    "empty lines at the end": (b"From: a\r\n\r\n", b"x\r\n\r\n \r\n\r\n"),
    "no last line end": (b"From: a\r\n\r\n", b"x"),
    "white space": (b"From:\ta \t b \r\n\r\n", b" \t x \t\t y \r\n\tz\r\n"),
    "folded": (b"From:\r\n a\r\n\tb\r\nSubject: c\r\n d\r\n\r\n", b"x\r\n"),
    "a name in upper case": (b"FROM: a\r\nSUBJECT: b\r\n\r\n", b"x\r\n"),
    "no From": (b"Subject: a\r\n\r\n", b"x\r\n"),
    "two Froms": (b"From: a\r\nFrom: b\r\n\r\n", b"x\r\n"),
    "UTF-8": ("From: ü\r\nSubject: ö\r\n\r\n".encode(), "ü\r\n".encode()),
    "another signature": (b"DKIM-Signature: v=1; d=x\r\nFrom: a\r\n\r\n", b"x\r\n"),
    "NUL": (b"From: a\r\n\r\n", b"\0\r\n"),
}


@pytest.mark.parametrize(("header", "body"), ODD.values(), ids=ODD)
def test_odd_messages_verify(header: bytes, body: bytes) -> None:
    sent = header if header.endswith(b"\r\n\r\n") else header + b"\r\n"

    assert verified(sign(header, [body], KEYS, NOW) + sent + body, KEYS) == [True, True]


tokens = st.text("ab \t:;=<>@.", max_size=12)
values = st.lists(tokens, min_size=1, max_size=4).map("\r\n x".join)
names = st.sampled_from(["From", "subject", "To", "Cc", "List-Id", "References", "X-Own", "Received", "Content-Type"])
headers = st.lists(st.tuples(names, values), max_size=8).map(
    lambda fields: "".join(f"{name}: {value}\r\n" for name, value in fields).encode()
)
bodies = st.lists(st.text("ab. \t", max_size=10)).map(lambda lines: "\r\n".join(lines).encode())


@settings(max_examples=examples(60))
@given(headers, bodies, st.lists(st.integers(0, 60)))
def test_generated_messages_verify(header: bytes, body: bytes, cuts: list[int]) -> None:
    header = b"From: a\r\n" + header
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    signed = sign(header, (body[start:stop] for start, stop in pairwise(edges)), KEYS, NOW)

    assert verified(signed + header + b"\r\n" + corpus.as_lines(body), KEYS) == [True, True]


def real_messages() -> dict[str, bytes]:
    """Messages with a From field and CRLF line ends, in whose header dkimpy takes every line for a field."""
    cases = {path.name: path.read_bytes() for path in sorted(CASES.glob("*.eml"))}
    messages = {name: corpus.as_lines(raw) for name, raw in (cases | corpus.library() | corpus.odd()).items()}
    return {name: raw for name, raw in messages.items() if _is_parsed(raw.partition(b"\r\n\r\n")[0])}


def _is_parsed(header: bytes) -> bool:
    return not re.search(rb"(?m)^(?![!-9;-~]+:|[ \t])", header) and bool(re.search(rb"(?mi)^from:", header))


MESSAGES = real_messages()


@pytest.mark.parametrize("raw", MESSAGES.values(), ids=MESSAGES)
def test_real_messages_verify(raw: bytes) -> None:
    header, blank, body = raw.partition(b"\r\n\r\n")

    assert verified(sign(header + blank, [body], KEYS, NOW) + raw, KEYS) == [True, True]


def test_there_are_real_messages() -> None:
    assert len(MESSAGES) > 30


@pytest.mark.skipif(opendkim.LIBRARY is None, reason="libopendkim is not installed (Debian: opendkim-tools)")
@pytest.mark.parametrize("body", [BODY, b"", b"\r\n", b" x \t y \r\n\r\n \r\n", "ü\r\n".encode()])
def test_opendkim_verifies(body: bytes, tmp_path: Path) -> None:
    keys = SigningKeys(KEYS.rsa)
    signed = sign(HEADER, [body], keys, NOW)

    assert opendkim.result_of(signed + HEADER + body, keys.rsa, tmp_path) == "Success"
    assert opendkim.result_of(signed + HEADER + body + b"x\r\n", keys.rsa, tmp_path) == "Bad signature"
    assert opendkim.result_of(signed + b"Subject: x\r\n" + HEADER + body, keys.rsa, tmp_path) == "Bad signature"


async def test_a_large_message_is_signed_in_a_thread() -> None:
    keys, threads = SigningKeys(KEYS.rsa), set[int]()
    line = b"25 MB of text,  with double spaces \r\n"

    def body() -> Iterator[bytes]:
        threads.add(threading.get_ident())
        yield line * (25_000_000 // len(line))

    signed = await sign_message(HEADER, body(), keys, NOW)

    assert verified(signed + HEADER + b"".join(body()), keys) == [True]
    assert len(threads) == 2
