"""What a message becomes for a server without 8BITMIME or SMTPUTF8."""

import base64
from collections.abc import Iterator, Sequence
from email import message_from_bytes
from email.policy import default
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_mime import Part, decode_part, index_message
from relate_mime.scan import Node, scan
from relate_relay.dkim.data import BLOCK_OCTETS, Data, classify
from relate_relay.dkim.next_hop import Prepared, Refusal, prepare
from relate_relay.dkim.signing import sign
from tests.support import corpus
from tests.support.examples import examples
from tests.unit.mime.messages import damaged_messages
from tests.unit.relay.dkim.examples import KEYS, NOW
from tests.unit.relay.dkim.verifying import verified

CAPABILITIES = ((False, False), (True, False), (True, True))


def octets_of(prepared: Prepared | Refusal) -> bytes:
    assert isinstance(prepared, Prepared)
    octets = prepared.header + b"".join(prepared.body())
    assert prepared.size == len(octets)
    return octets


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def to_7bit(text: str) -> str:
    return octets_of(prepare(crlf(text), eight_bit_mime=False, smtputf8=False)).decode("ascii").replace("\r\n", "\n")


def refusal(text: str, *, eight_bit_mime: bool = False, smtputf8: bool = False) -> Refusal:
    result = prepare(crlf(text), eight_bit_mime=eight_bit_mime, smtputf8=smtputf8)
    assert isinstance(result, Refusal)
    return result


HEAD = "From: a@b.example\nMIME-Version: 1.0\n"


def test_7bit_mail_is_not_changed() -> None:
    raw = crlf(HEAD + "Content-Transfer-Encoding: 8bit\n\ntext\n")
    prepared = prepare(raw, eight_bit_mime=False, smtputf8=False)

    assert octets_of(prepared) == raw
    assert isinstance(prepared, Prepared)
    assert not prepared.needs_8bit
    assert not prepared.needs_utf8


def test_8bit_mail_is_not_changed_for_a_server_that_takes_it() -> None:  # RFC 6152
    raw = crlf(HEAD + "\nGrüße\n")
    prepared = prepare(raw, eight_bit_mime=True, smtputf8=False)

    assert octets_of(prepared) == raw
    assert isinstance(prepared, Prepared)
    assert prepared.needs_8bit
    assert not prepared.needs_utf8


@pytest.mark.parametrize(
    "text", ["From: ü@b.example\n\ntext\n", HEAD + "Content-Type: image/png; name=ü\n\ntext\n"], ids=["own", "MIME"]
)
def test_utf8_headers_are_not_changed_for_a_server_that_takes_them(text: str) -> None:  # RFC 6531
    prepared = prepare(crlf(text), eight_bit_mime=True, smtputf8=True)

    assert octets_of(prepared) == crlf(text)
    assert isinstance(prepared, Prepared)
    assert prepared.needs_8bit
    assert prepared.needs_utf8


@pytest.mark.parametrize("hop", CAPABILITIES)
@pytest.mark.parametrize("path", ["<>", "<ann@example.test>", "<jörg@example.test>"])
@pytest.mark.parametrize("body", ["text\n", "Grüße\n"])
def test_the_return_path_in_front_is_not_sent(hop: tuple[bool, bool], path: str, body: str) -> None:  # RFC 5321 §4.4
    rest = HEAD + "Received: from a\n\tby b\nX-Return-Path: <x>\n\n" + body
    sent = prepare(crlf(f"Return-Path: {path}\n{rest}"), eight_bit_mime=hop[0], smtputf8=hop[1])

    assert octets_of(sent) == octets_of(prepare(crlf(rest), eight_bit_mime=hop[0], smtputf8=hop[1]))


@pytest.mark.parametrize("field", ["Subject: x\nReturn-Path: <a@b.example>\n", "Return-Path: <a@b.example>\n folded\n"])
def test_a_return_path_that_is_not_the_servers_is_sent(
    field: str,
) -> None:  # relays do not search for it: RFC 5321 §4.4
    raw = crlf(field + HEAD + "\ntext\n")

    assert octets_of(prepare(raw, eight_bit_mime=True, smtputf8=False)) == raw


def test_a_header_that_is_but_a_return_path_becomes_an_empty_one() -> None:
    for raw in (b"Return-Path: <>\r\n\r\ntext\r\n", b"Return-Path: <>\r\n"):
        assert octets_of(prepare(raw, eight_bit_mime=True, smtputf8=False)).partition(b"text")[0] == b"\r\n"


def test_octets_that_are_not_changed_are_not_copied() -> None:
    raw = crlf(HEAD + "\n") + b"x" * 70 + b"\r\n" + b"text\r\n" * 100_000
    prepared = prepare(raw, eight_bit_mime=False, smtputf8=False)

    assert isinstance(prepared, Prepared)
    assert all(piece.octets is raw for piece in prepared._slices)
    assert max(map(len, prepared.body())) <= BLOCK_OCTETS


CONVERSIONS = {
    "text": (
        HEAD + "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\nSubject: x\n\nGrüße\n",
        HEAD
        + "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\nSubject: x\n\n"
        + "Gr=C3=BC=C3=9Fe\n",
    ),
    "text without MIME fields": (
        "From: a\n\nGrüße\n",
        "From: a\nContent-Transfer-Encoding: quoted-printable\nMIME-Version: 1.0\n\nGr=C3=BC=C3=9Fe\n",
    ),
    "a file": (
        HEAD + "Content-Type: image/png\n\nü\n",
        HEAD + "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\nw7wNCg==\n",
    ),
    "two transfer encodings": (
        HEAD + "content-transfer-encoding: 8bit\nContent-Transfer-Encoding: 8bit\n\nü\n",
        HEAD + "Content-Transfer-Encoding: quoted-printable\n\n=C3=BC\n",
    ),
    "a multipart": (
        HEAD + "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n"
        "--b\n\nplain\n--b\nContent-Type: text/html\n\nü\n--b\n\nü--b--\n",
        HEAD + "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 7bit\n\n"
        "--b\n\nplain\n--b\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BC\n"
        "--b\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BC--b--\n",
    ),
    "nested multiparts": (
        HEAD + "Content-Type: multipart/mixed; boundary=b\n\n"
        "--b\nContent-Type: multipart/alternative; boundary=c\nContent-Transfer-Encoding: binary\n\n"
        "--c\n\nü\n--c--\n--b--\n",
        HEAD + "Content-Type: multipart/mixed; boundary=b\n\n"
        "--b\nContent-Type: multipart/alternative; boundary=c\nContent-Transfer-Encoding: 7bit\n\n"
        "--c\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BC\n--c--\n--b--\n",
    ),
    "a preamble and an epilogue": (
        HEAD + "Content-Type: multipart/mixed; boundary=b\n\nprä\namble\n--b\n\nx\n--b--\nepilög\n",
        HEAD + "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n",
    ),
    "an embedded message": (
        HEAD + "Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: ü\n\nü\n",
        HEAD + "Content-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\nSubject: =?UTF-8?B?w7w=?=\n"
        "Content-Transfer-Encoding: quoted-printable\nMIME-Version: 1.0\n\n=C3=BC\n",
    ),
    "an embedded message with an address": (
        HEAD + "Content-Type: message/rfc822\n\nFrom: ü@a\n\nx\n",
        HEAD + "Content-Type: message/global\nContent-Transfer-Encoding: base64\n\n"
        + base64.b64encode(b"From: \xc3\xbc@a\r\n\r\nx\r\n").decode() + "\n",
    ),
    "an embedded message that is signed": (
        HEAD + "Content-Type: message/rfc822\n\nContent-Type: multipart/signed; boundary=c\n\n--c\n\nü\n--c--\n",
        HEAD + "Content-Type: message/global\nContent-Transfer-Encoding: base64\n\n"
        + "Q29udGVudC1UeXBlOiBtdWx0aXBhcnQvc2lnbmVkOyBib3VuZGFyeT1jDQoNCi0tYw0KDQrDvA0K\nLS1jLS0NCg==\n",
    ),
    "malformed quoted-printable": (
        HEAD + "Content-Transfer-Encoding: quoted-printable\n\nü=3D=\n",
        HEAD + "Content-Transfer-Encoding: quoted-printable\n\n=C3=BC=3D",
    ),
    "malformed base64": (
        HEAD + "Content-Transfer-Encoding: base64\n\nYW\nJjü\n",
        HEAD + "Content-Transfer-Encoding: base64\n\nYWJj\n",
    ),
    "a missing blank line": (
        HEAD + "no field, ü\n",
        HEAD + "Content-Transfer-Encoding: quoted-printable\n\nno field, =C3=BC\n",
    ),
    "display names and texts": (
        "From: Jörg <j@b.example>\nTo: a@b.example\nSubject: Grüße\nX-Own: ä\n\ntext\n",
        ("From: =?UTF-8?B?SsO2cmc=?= <j@b.example>\nTo: a@b.example\nSubject: =?UTF-8?B?R3LDvMOfZQ==?=\n"
         "X-Own: =?UTF-8?B?w6Q=?=\n\ntext\n"),
    ),
    "a domain": ("To: a@bücher.example\n\nx\n", "To: a@xn--bcher-kva.example\n\nx\n"),
    "a filename": (
        HEAD + "Content-Type: multipart/mixed; boundary=b\n\n"
        "--b\nContent-Disposition: attachment; filename=ü.txt\n\nx\n--b--\n",
        HEAD + "Content-Type: multipart/mixed; boundary=b\n\n"
        "--b\nContent-Disposition: attachment; filename*=UTF-8''%C3%BC.txt\n\nx\n--b--\n",
    ),
    "a signed message with another subject": (
        HEAD + "Subject: ü\nContent-Type: multipart/signed; boundary=b\n\n--b\n\nx\n--b\n\ny\n--b--\n",
        HEAD + "Subject: =?UTF-8?B?w7w=?=\nContent-Type: multipart/signed; boundary=b\n\n--b\n\nx\n--b\n\ny\n--b--\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "converted"), CONVERSIONS.values(), ids=CONVERSIONS)
def test_conversion_to_7bit(text: str, converted: str) -> None:
    assert to_7bit(text) == converted


REFUSALS = {
    "signed": (HEAD + "Content-Type: multipart/signed; boundary=b\n\n--b\n\nü\n--b--\n", Refusal.CONVERSION),
    "encrypted": (HEAD + "Content-Type: multipart/encrypted; boundary=b\n\n--b\n\nü\n--b--\n", Refusal.CONVERSION),
    "signed, within another multipart": (
        HEAD + "Content-Type: multipart/mixed; boundary=a\n\n"
        "--a\nContent-Type: multipart/signed; boundary=b\n\n--b\n\nü\n--b--\n--a--\n",
        Refusal.CONVERSION,
    ),
    "a signed embedded message": (
        HEAD
        + "Content-Type: multipart/signed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nTo: ü@a\n\nx\n--b--\n",
        Refusal.CONVERSION,
    ),
    "an unknown transfer encoding": (HEAD + "Content-Transfer-Encoding: x-own\n\nü\n", Refusal.CONVERSION),
    "a part of a message": (HEAD + "Content-Type: message/partial\n\nü\n", Refusal.CONVERSION),
    "a multipart without parts": (HEAD + "Content-Type: multipart/mixed; boundary=b\n\nü\n", Refusal.CONVERSION),
    "a sender": ("From: ü@b.example\n\nx\n", Refusal.SMTPUTF8),
    "a recipient in a group": ("To: g: a@b, <ü@b.example>;\n\nx\n", Refusal.SMTPUTF8),
    "a Message-ID": ("Message-ID: <ü@b.example>\n\nx\n", Refusal.SMTPUTF8),
    "a field's name": ("From: a\nSübject: x\nTo: b\n\nx\n", Refusal.MALFORMED),
    "a boundary": (
        HEAD + 'Content-Type: multipart/mixed; boundary="ü"\n\n--ü\n\nx\n--ü--\n',
        Refusal.MALFORMED,
    ),
    "a bare CR in a header": ("Subject: a\rb\n\nü\n", Refusal.MALFORMED),
    "NUL in a header": ("Subject: \0\n\nx\n", Refusal.MALFORMED),
    "a long word in a header": (f"Subject: {'x' * 1_000}\n\nx\n", Refusal.MALFORMED),
}


@pytest.mark.parametrize(("text", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_a_message_that_cannot_be_converted(text: str, reason: Refusal) -> None:
    assert refusal(text) is reason


def test_a_refusal_has_an_enhanced_code() -> None:  # RFC 3463 §3.7, RFC 6531 §3.5
    assert {reason.name: reason.status for reason in Refusal} == {
        "MALFORMED": "5.6.0",
        "CONVERSION": "5.6.3",
        "SMTPUTF8": "5.6.7",
    }
    assert all(reason.text for reason in Refusal)


def test_smtputf8_without_8bitmime_is_not_used() -> None:  # RFC 6531 §3.1 (8)
    assert refusal("From: ü@b.example\n\nx\n", smtputf8=True) is Refusal.SMTPUTF8


@pytest.mark.parametrize("body", [b"x" * 999 + b"\r\n", b"a\nb\r\n", b"a\rb\r\n", b"\0\r\n", b"x" * 200_000])
@pytest.mark.parametrize(("eight_bit_mime", "smtputf8"), CAPABILITIES)
def test_binary_data_is_encoded_for_every_server(body: bytes, eight_bit_mime: bool, smtputf8: bool) -> None:
    raw = crlf(HEAD + "Content-Transfer-Encoding: binary\n\n") + body  # RFC 3030
    sent = octets_of(prepare(raw, eight_bit_mime=eight_bit_mime, smtputf8=smtputf8))

    assert classify(sent, 0, len(sent)) is Data.SEVEN_BIT
    assert [decode_part(sent, part) for part in index_message(sent).parts] == [body] * 2


def test_a_multipart_with_binary_data_becomes_8bit() -> None:  # RFC 2045 §6.4
    raw = crlf(
        HEAD + "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: binary\n\n"
        "--b\n\nü\n--b\nContent-Type: image/png\n\n\0\n--b--\n"
    )
    sent = octets_of(prepare(raw, eight_bit_mime=True, smtputf8=False))

    assert b"boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n" in sent
    assert "--b\r\n\r\nü\r\n--b".encode() in sent


def test_long_lines_of_a_header_are_folded() -> None:  # RFC 5322 §2.2.3
    raw = crlf(f"From: a\nReferences:{' <a@b>' * 1_000}\nSubject: x\n\nx\n")
    sent = octets_of(prepare(raw, eight_bit_mime=False, smtputf8=False))

    assert max(map(len, sent.split(b"\r\n"))) <= 998
    assert sent.replace(b"\r\n ", b" ") == raw


@pytest.mark.parametrize("raw", [b"", b"x", b"Subject: x", b"Subject: x\r\n", b"Just text\r\n", b"\r\n", b"\r\ntext"])
def test_a_header_gets_its_blank_line(raw: bytes) -> None:
    prepared = prepare(raw, eight_bit_mime=False, smtputf8=False)

    assert isinstance(prepared, Prepared)
    assert prepared.header.endswith(b"\r\n\r\n") or prepared.header == b"\r\n"
    assert octets_of(prepared).replace(b"\r\n", b"") == raw.replace(b"\r\n", b"")


# --- properties

texts = st.text(st.sampled_from("ab =.\tü€\0\n\r"), max_size=30)
contents = st.one_of(
    texts.map(lambda text: text.replace("\r", "").replace("\n", "\r\n").replace("\0", "").encode()),
    texts.map(str.encode),
    st.sampled_from([b"x" * 1_200, b"\xff\xfe", b"plain"]),
)
fields = st.lists(
    st.sampled_from(
        ["Subject: ü", "X-Own: y", "Content-Disposition: attachment; filename=ä", "To: Jörg <a@b>", "Cc: ü@a", "BAD ü"]
    ),
    max_size=2,
    unique=True,
)


@st.composite
def leaves(draw: st.DrawFn) -> bytes:
    media_type = draw(st.sampled_from(["text/plain", "text/html; charset=utf-8", "image/png", "application/x-own"]))
    encoding = draw(st.sampled_from(["", "7bit", "8bit", "binary", "base64", "quoted-printable", "x-own"]))
    labels = [f"Content-Transfer-Encoding: {encoding}"] * bool(encoding)
    return _part([*draw(fields), f"Content-Type: {media_type}", *labels], draw(contents))


def _part(lines: Sequence[str], body: bytes) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


@st.composite
def multiparts(draw: st.DrawFn, children: st.SearchStrategy[bytes]) -> bytes:
    boundary = f"b{draw(st.integers(0, 10**9))}"
    subtype = draw(st.sampled_from(["mixed", "mixed", "alternative", "signed", "digest"]))
    parts = b"".join(
        b"--%b\r\n%b\r\n" % (boundary.encode(), part) for part in draw(st.lists(children, min_size=1, max_size=3))
    )
    preamble, epilogue = draw(st.sampled_from([b"", "prä\r\n".encode()])), draw(st.sampled_from([b"", b"\xff"]))
    lines = [*draw(fields), f"Content-Type: multipart/{subtype}; boundary={boundary}"]
    return _part(lines, preamble + parts + b"--%b--\r\n" % boundary.encode() + epilogue)


@st.composite
def embedded(draw: st.DrawFn, children: st.SearchStrategy[bytes]) -> bytes:
    return _part([*draw(fields), "Content-Type: message/rfc822"], b"From: a\r\n" + draw(children))


trees = st.recursive(
    leaves(), lambda children: st.one_of(multiparts(children), embedded(children)), max_leaves=6
)  # fmt: skip
messages = trees.map(lambda tree: b"From: a@b.example\r\n" + tree)
hops = st.sampled_from(CAPABILITIES)


def leaf_contents(raw: bytes) -> list[tuple[str, bytes]]:
    """The content of each part that has no parts; of the encoded message, that of its parts."""
    found = []
    parts = index_message(raw).parts
    for part in parts:
        if part.section[-1:].isdigit() and not part.media_type.startswith("multipart/") and _has_no_parts(part, parts):
            content = decode_part(raw, part)
            if part.media_type == "application/octet-stream" and b"message/global" in raw[part.header : part.body]:
                found += leaf_contents(content)
            else:
                found.append((part.media_type, content))
    return found


def _has_no_parts(part: Part, parts: Sequence[Part]) -> bool:
    return not any(other.section.startswith(f"{part.section}.") for other in parts)


def check(raw: bytes, hop: tuple[bool, bool]) -> bytes | None:
    """What is sent, if it is not refused: valid for the server, and the same when it is prepared again."""
    prepared = prepare(raw, eight_bit_mime=hop[0], smtputf8=hop[1])
    if isinstance(prepared, Refusal):
        return None
    sent = octets_of(prepared)
    kind = classify(sent, 0, len(sent))
    assert kind <= (Data.EIGHT_BIT if hop[0] else Data.SEVEN_BIT)
    assert prepared.needs_8bit is (kind is Data.EIGHT_BIT)
    assert prepared.header.isascii() or prepared.needs_utf8
    assert not prepared.needs_utf8 or hop[1]
    again = prepare(sent, eight_bit_mime=hop[0], smtputf8=hop[1])
    assert octets_of(again) == sent
    return sent


@settings(max_examples=examples(400))
@given(messages, hops)
def test_the_content_stays_the_same(raw: bytes, hop: tuple[bool, bool]) -> None:
    sent = check(raw, hop)

    if sent is not None:
        assert leaf_contents(sent) == leaf_contents(raw)


def protected_parts(raw: bytes, node: Node) -> Iterator[bytes]:
    if node.content.media_type == "multipart/signed":
        yield raw[node.children[0].header : node.children[-1].end]
    for child in node.children:
        yield from protected_parts(raw, child)


def with_encoded_messages(raw: bytes) -> Iterator[bytes]:
    yield raw
    for part in index_message(raw).parts:
        if part.section and b"message/global" in raw[part.header : part.body]:
            yield from with_encoded_messages(decode_part(raw, part))


@settings(max_examples=examples(300))
@given(messages, hops)
def test_signed_parts_stay_the_same(raw: bytes, hop: tuple[bool, bool]) -> None:  # RFC 1847 §2.1
    sent = check(raw, hop)

    if sent is not None:
        messages = [*with_encoded_messages(sent)]
        assert all(any(part in message for message in messages) for part in protected_parts(raw, scan(raw)))


@settings(max_examples=examples(60))
@given(messages, hops)
def test_what_is_sent_is_what_is_signed(raw: bytes, hop: tuple[bool, bool]) -> None:
    prepared = prepare(raw, eight_bit_mime=hop[0], smtputf8=hop[1])
    if isinstance(prepared, Prepared) and b"BAD" not in prepared.header:
        sent = corpus.as_lines(octets_of(prepared))
        assert verified(sign(prepared.header, prepared.body(), KEYS, NOW) + sent, KEYS) == [True, True]


@settings(max_examples=examples(200))
@given(damaged_messages, hops)
def test_damaged_messages_are_converted_or_refused(raw: bytes, hop: tuple[bool, bool]) -> None:
    check(raw, hop)


MESSAGES = corpus.odd() | corpus.library()


@pytest.mark.parametrize("raw", MESSAGES.values(), ids=MESSAGES)
@pytest.mark.parametrize("hop", CAPABILITIES)
def test_real_messages_are_converted_or_refused(raw: bytes, hop: tuple[bool, bool]) -> None:
    sent = check(corpus.as_lines(raw), hop)

    if sent is not None:
        assert leaf_contents(sent) == leaf_contents(corpus.as_lines(raw))


def test_the_standard_library_reads_the_same_text() -> None:
    text = HEAD + "Subject: Grüße aus Zürich\nContent-Type: text/plain; charset=utf-8\n\nSchöne Grüße = ok \n.\n"
    sent = octets_of(prepare(crlf(text), eight_bit_mime=False, smtputf8=False))
    message = message_from_bytes(sent, policy=default)

    assert message["Subject"] == "Grüße aus Zürich"
    assert message.get_content().replace("\r\n", "\n") == "Schöne Grüße = ok \n.\n"


def test_a_large_message_is_converted() -> None:
    content = Random(3).randbytes(25_000_000)
    raw = crlf(HEAD + "Content-Type: application/pdf\nContent-Transfer-Encoding: binary\n\n") + content
    sent = octets_of(prepare(raw, eight_bit_mime=True, smtputf8=True))

    assert decode_part(sent, index_message(sent).parts[0]) == content
