"""Messages for tests: hypothesis strategies for valid and damaged ones, and a helper to write one by hand."""

from email.header import Header
from email.message import Message
from email.mime.application import MIMEApplication
from email.mime.base import MIMEBase
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from typing import TypeAlias

from hypothesis import strategies as st

CRLF = compat32.clone(linesep="\r\n")
Damage: TypeAlias = tuple[float, float, bytes]

words = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=12)
sentences = st.lists(words, min_size=1, max_size=8).map(" ".join)
texts = st.lists(sentences, max_size=5).map("\n".join)


def crlf(text: str) -> bytes:
    """A message as SMTP transfers it: CRLF line ends, UTF-8."""
    return text.replace("\n", "\r\n").encode()


RFC_9051 = crlf("""\
Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
From: Terry Gray <gray@cac.washington.edu>
Subject: IMAP4rev2 WG mtg summary and minutes
To: imap@cac.washington.edu
cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>
Message-Id: <B27397-0100000@cac.washington.edu>
MIME-Version: 1.0
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII

""")
"""The message of the sample session (RFC 9051 §8)."""


@st.composite
def text_parts(draw: st.DrawFn) -> Message:
    return MIMEText(draw(texts), draw(st.sampled_from(("plain", "html", "calendar"))), "utf-8")


@st.composite
def file_parts(draw: st.DrawFn) -> Message:
    part = MIMEApplication(draw(st.binary(max_size=200)), draw(st.sampled_from(("pdf", "octet-stream"))))
    part.add_header("Content-Disposition", "attachment", filename=("utf-8", "", draw(sentences)))
    return part


@st.composite
def raw_parts(draw: st.DrawFn) -> Message:
    """A part without a transfer encoding: short lines that resemble headers and delimiters of other messages."""
    part = MIMEBase("image", "x-raw")
    lines = draw(st.lists(st.sampled_from(("", "--", "--=", "a: b", " ", "-- \n", "From x", "x" * 70)), max_size=6))
    part.set_payload("\r\n".join(lines))
    return part


def multiparts(children: st.SearchStrategy[Message]) -> st.SearchStrategy[Message]:
    subtypes = st.sampled_from(("mixed", "alternative", "related", "digest", "signed"))
    return st.builds(MIMEMultipart, subtypes, st.none(), st.lists(children, min_size=1, max_size=3))


def forwarded(children: st.SearchStrategy[Message]) -> st.SearchStrategy[Message]:
    return children.flatmap(with_fields).map(MIMEMessage)


@st.composite
def with_fields(draw: st.DrawFn, message: Message) -> Message:
    message["From"] = f"{Header(draw(sentences), 'utf-8').encode()} <from@example.org>"
    message["To"] = ", ".join(draw(st.lists(st.sampled_from(("a@b.example", '"Q, R" <q@r.example>')), max_size=3)))
    message["Subject"] = Header(draw(sentences), "utf-8").encode()
    message["Date"] = "Fri, 21 Nov 1997 09:55:06 -0600"
    message["Message-ID"] = "<1234@local.machine.example>"
    return message


trees = st.recursive(
    st.one_of(text_parts(), file_parts(), raw_parts()),
    lambda children: st.one_of(multiparts(children), forwarded(children)),
    max_leaves=6,
)


def flatten(message: Message) -> bytes:
    """The octets of the message. Its boundaries are distinct, and some are prefixes of others."""
    multiparts = (part for part in message.walk() if part.get_content_maintype() == "multipart")
    for number, part in enumerate(multiparts):
        part.set_boundary(f"=b{number}")
    return message.as_bytes(policy=CRLF)


messages = trees.flatmap(with_fields).map(flatten)

FRAGMENTS = (b"\r\n", b"\n", b"\0", b"--", b'"', b"(", b"=?utf-8?q?", b"\xff", b";", b":", b"\r\n\r\n", b"\r\n--")
damage = st.tuples(st.floats(0, 1), st.floats(0, 0.2), st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=8)))


def apply_damage(raw: bytes, damages: list[Damage]) -> bytes:
    """Replace ranges of the message, given as fractions of its length."""
    for position, share, replacement in damages:
        start = int(position * len(raw))
        raw = raw[:start] + replacement + raw[start + int(share * len(raw)) :]
    return raw


damaged_messages = st.builds(apply_damage, messages, st.lists(damage, min_size=1, max_size=4))
