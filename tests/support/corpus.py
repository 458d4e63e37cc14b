"""Real-world messages, well-formed and malformed: deterministic, by name.

`library` has the test messages of Python's e-mail package, if this Python ships its tests; `odd` has one message for
each malformation that servers are known to handle wrongly; `big` has large messages.
"""

import base64
import importlib.util
import re
from pathlib import Path
from random import Random

from tests.support import factories

PARTS = 1_000
LEVELS = 60
ATTACHMENT_OCTETS = 30_000_000  # encoded
HEADER_OCTETS = 500_000
LONGEST_LINE_OCTETS = 998  # without the line end (RFC 5322 §2.1.1)
MONSTROUS_LINE_OCTETS = 100_000
BLOB_PART_OCTETS = 512 * 1024  # the store splits messages at this size, so some are longer

_LINE_END = re.compile(rb"\r\n|\r|\n")


def library() -> dict[str, bytes]:
    """The test messages of the standard library; empty if they are not installed."""
    if importlib.util.find_spec("test") is None or (found := importlib.util.find_spec("test.test_email")) is None:
        return {}
    directories = found.submodule_search_locations or []
    return {path.name: path.read_bytes() for one in directories for path in sorted(Path(one, "data").glob("msg_*.txt"))}


def odd() -> dict[str, bytes]:
    """Small and medium messages, most of them malformed. Their line ends are CRLF unless the name says otherwise."""
    return {
        "empty": b"",
        "one-octet": b"x",
        "one-line-end": b"\r\n",
        "only-line-ends": b"\r\n" * 500,
        "no-header": b"\r\nJust a text, below an empty header.\r\n",
        "no-header-at-all": b"Just a text, and\r\nnot even an empty line before it.\r\n",
        "no-body": b"Subject: that is all",
        "begins-folded": b" folded onto nothing\r\nSubject: x\r\n\r\ntext\r\n",
        "begins-like-our-trace": b"\tby nobody; never\r\nReturn-Path: <>\r\nReceived: from nowhere\r\n\r\ntext\r\n",
        "few-fields": b"To: someone@example.org\r\n\r\nNo From, no Date, no Message-ID.\r\n",
        "mbox": b"From ann@example.org Tue Jul 14 09:30:00 2026\r\nSubject: x\r\n\r\nFrom here on\r\n>From there\r\n",
        "no-last-line-end": b"Subject: x\r\n\r\nends in the middle of a",
        "ends-with-cr": b"Subject: x\r\n\r\nends with\r",
        "ends-with-a-dot": b"Subject: x\r\n\r\ntext\r\n.",
        "simple": factories.simple(),
        "multipart": factories.multipart(),
        "every-octet": factories.eight_bit(),
        "nul": b"Sub\0ject: \0\r\n\0\r\n\r\n\0\0\0\r\nNUL before the end\0\r\n",
        "bare-lf": b"Subject: bare\nContent-Type: application/octet-stream\r\n\r\none\ntwo\n.\nthree\r\n\n.\r\n",
        "bare-cr": b"Subject: bare\r\r\n\r\none\rtwo\r.\rthree\r\r\n",
        "utf8-header": _utf8_header(),
        "latin1-header": "Subject: Grüße\r\nFrom: Jörg <joerg@example.org>\r\n\r\nSchön.\r\n".encode("latin-1"),
        "broken-encoded-words": b"Subject: =?utf-8?b?w7?= =?x-none?q?=FF?= =?utf-8?q?=C3?= =?=\r\nFrom: =?\r\n\r\n",
        "broken-fields": (
            b"no colon here\r\n: no name\r\nSubject : space\r\n\xff\xfe: x\r\nFrom: <<>>,@,;(\r\nDate: ?\r\n\r\n"
        ),
        "leading-dots": b"".join(b"." * count + b"\r\n" for count in range(1, 80)),
        "dots-in-every-place": b".\r\n..\r\n\r\n...\r\nx.\r\n" * (3 * BLOB_PART_OCTETS // 22),
        "longest-line": b"Subject: x\r\n\r\n"
        + b"y" * LONGEST_LINE_OCTETS
        + b"\r\n"
        + b"." * LONGEST_LINE_OCTETS
        + b"\r\n",
        "monstrous-line": b"Subject: x\r\n\r\n" + b"z" * MONSTROUS_LINE_OCTETS + b"\r\n",
        "monstrous-field": b"Subject: " + b"s" * HEADER_OCTETS + b"\r\n\r\ntext\r\n",
        "folded-field": b"References:" + _folded_ids() + b"\r\n\r\n",
        "many-fields": b"".join(b"X-Field-%d: %d\r\n" % (n, n) for n in range(HEADER_OCTETS // 25)) + b"\r\ntext\r\n",
        "many-recipients": b"To: " + b",\r\n ".join(b"u%d@example.org" % n for n in range(5_000)) + b"\r\n\r\ntext\r\n",
        "many-parts": _many_parts(),
        "nested-multiparts": _nested(b"multipart/mixed"),
        "nested-messages": _nested_messages(),
        "unclosed": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nno end",
        "boundary-of-none": b"Content-Type: multipart/mixed\r\n\r\n--\r\n\r\ntext\r\n----\r\n",
        "boundary-never-comes": b'Content-Type: multipart/mixed; boundary="never"\r\n\r\ntext\r\n',
        "boundaries-alike": _boundaries_alike(),
        "broken-base64": _part(b"image/png; name=x", b"base64", b"!!!!\r\n====\r\nAAA"),
        "broken-quoted-printable": _part(b"text/plain; charset=x-none", b"quoted-printable", b"=\r\n=Z=\r\n=3"),
        "broken-parameters": _part(b"text/plain; charset*0*=''%; =; name=\"", b"8bit; x", b"text"),
        "binary": _part(b"application/octet-stream", b"binary", Random(1).randbytes(300_000)),
    }


def big() -> dict[str, bytes]:
    """A text with an attachment of ATTACHMENT_OCTETS, all lines different."""
    octets = base64.encodebytes(Random(2).randbytes(ATTACHMENT_OCTETS * 3 // 4)).replace(b"\n", b"\r\n")
    parts = [_part(b"text/plain", b"7bit", b"See below.\r\n"), _part(b"application/pdf; name=big", b"base64", octets)]
    return {"big-attachment": _multipart(b"multipart/mixed", b"big", parts)}


def as_lines(octets: bytes) -> bytes:
    """The octets as a client must send them with DATA: in lines that end with CRLF."""
    lines = _LINE_END.sub(b"\r\n", octets)
    return lines if not lines or lines.endswith(b"\r\n") else lines + b"\r\n"


def _utf8_header() -> bytes:
    fields = "From: 山田 <山田@例え.example>\r\nTo: Jörg <jörg@example.org>\r\nSubject: Привет 👋\r\nX-Größe: groß\r\n"
    return f"{fields}Content-Type: text/plain; charset=utf-8\r\n\r\nGrüße, 你好\r\n".encode()


def _folded_ids() -> bytes:
    return b"".join(b"\r\n <%032d@example.org>" % number for number in range(HEADER_OCTETS // 50))


def _part(content_type: bytes, encoding: bytes, body: bytes) -> bytes:
    return b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (content_type, encoding, body)


def _multipart(content_type: bytes, boundary: bytes, parts: list[bytes]) -> bytes:
    delimited = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    return b'MIME-Version: 1.0\r\nContent-Type: %b; boundary="%b"\r\n\r\n%b--%b--\r\n' % (
        content_type,
        boundary,
        delimited,
        boundary,
    )


def _many_parts() -> bytes:
    parts = [_part(b"text/plain; name=%d.txt" % number, b"7bit", b"Part %d.\r\n" % number) for number in range(PARTS)]
    return _multipart(b"multipart/mixed", b"thousand", parts)


def _nested(content_type: bytes) -> bytes:
    message = _part(b"text/plain", b"7bit", b"The innermost.\r\n")
    for level in range(LEVELS):
        message = _multipart(content_type, b"level-%d" % level, [message, _part(b"text/html", b"7bit", b"<p>\r\n")])
    return message


def _nested_messages() -> bytes:
    message = factories.multipart()
    for level in range(LEVELS):
        message = b"Subject: Fwd %d\r\nContent-Type: message/rfc822\r\n\r\n" % level + message
    return message


def _boundaries_alike() -> bytes:
    inner = _multipart(b"multipart/alternative", b"b-1", [b"\r\ninner", b"\r\n--b\r\n\r\nnot the outer one's end"])
    return _multipart(b"multipart/mixed", b"b", [inner, b"\r\n--b-\r\n--bb\r\n --b\r\n--b \t\r\n\r\nlast"])
