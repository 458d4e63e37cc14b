"""Differential tests against the standard library's parser: tree, contents, addresses, text and dates."""

import email
import email.header
import email.utils
import importlib.util
import re
from datetime import datetime, timedelta, timezone
from email.message import Message
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_mime import (
    Address,
    MessageIndex,
    Part,
    decode_part,
    header_fields,
    index_message,
    parse_addresses,
    parse_date,
)
from relate_mime.addresses import decode_address
from tests.support.examples import examples
from tests.unit.mime.messages import messages, sentences


def their_tree(message: Message, section: str = "") -> dict[str, Message]:
    """The standard library's tree, by IMAP part specifier."""
    tree = {section: message}
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        return tree | their_children(message, section)
    return tree | their_part(message, section + "1")


def their_children(multipart: Message, prefix: str) -> dict[str, Message]:
    children: dict[str, Message] = {}
    for number, child in enumerate(multipart.get_payload(), 1):
        assert isinstance(child, Message)
        children |= their_part(child, f"{prefix}{number}")
    return children


def their_part(part: Message, section: str) -> dict[str, Message]:
    tree = {section: part}
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        return tree | their_children(part, section + ".")
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload(0)
        assert isinstance(inner, Message)
        return tree | their_tree(inner, section + ".")
    return tree


def their_type(part: Message) -> str:
    """The media type; text/plain for a multipart without parts, as in our tree."""
    if part.get_content_maintype() == "multipart" and not part.is_multipart():
        return "text/plain"
    return part.get_content_type()


def assert_same_tree(raw: bytes) -> None:
    message = email.message_from_bytes(raw)
    ours, theirs = index_message(raw).parts, their_tree(message)
    assert [(part.section, part.media_type) for part in ours] == [
        (section, their_type(part)) for section, part in theirs.items()
    ]
    for part in ours:
        assert_same_part(raw, part, theirs[part.section])


def assert_same_part(raw: bytes, ours: Part, theirs: Message) -> None:
    assert [field.name.decode() for field in header_fields(raw, ours.header, ours.body)] == theirs.keys()
    assert ours.filename in ("", theirs.get_filename(""))
    if not theirs.is_multipart():
        assert decode_part(raw, ours) == theirs.get_payload(decode=True)


def assert_same_texts(index: MessageIndex, message: Message) -> None:
    assert index.subject == decoded(message["Subject"])
    # The strictness of the library's address parser depends on its patch release, so do without it.
    assert [address.address for address in index.to] == re.findall(r"[a-z]+@[a-z.]+", message["To"])
    name, _, address = message["From"].rpartition(" <")
    assert index.sender == Address(decoded(name), address.rstrip(">"))


def decoded(value: str) -> str:
    return str(email.header.make_header(email.header.decode_header(value)))


@given(messages)
def test_generated_message_has_the_same_tree(raw: bytes) -> None:
    assert_same_tree(raw)
    assert_same_texts(index_message(raw), email.message_from_bytes(raw))


@given(messages)
@settings(max_examples=examples(25))
def test_line_ends_do_not_change_the_tree(raw: bytes) -> None:
    bare = raw.replace(b"\r\n", b"\n")
    assert_same_tree(bare)
    sections = [[part.section for part in index_message(octets).parts] for octets in (raw, bare)]
    assert sections[0] == sections[1]


DIFFERENT = {  # each has its own test in test_scan.py
    "msg_15.txt",  # a boundary used twice: the line end before a delimiter belongs to it, there too
    "msg_37.txt",  # two adjacent delimiters: an empty part between them
    "msg_42.txt",  # only a close delimiter: text
}


def library_messages() -> list[Path]:
    """The messages of the standard library's own tests, if this Python ships its tests."""
    spec = importlib.util.find_spec("test.test_email") if importlib.util.find_spec("test") else None
    if spec is None or spec.origin is None:
        return []
    paths = Path(spec.origin).with_name("data").glob("msg_*.txt")
    return sorted(path for path in paths if path.name not in DIFFERENT)


@pytest.mark.skipif(not library_messages(), reason="this Python ships without its tests")
@pytest.mark.parametrize("path", library_messages(), ids=lambda path: path.name)
def test_message_of_the_library_has_the_same_tree(path: Path) -> None:
    assert_same_tree(path.read_bytes())


names = st.one_of(st.just(""), sentences)
specs = st.sampled_from(("a@b.example", '"a b"@c.example', "a.b@[192.0.2.1]", "jdoe@one.test"))


@given(st.lists(st.tuples(names, specs), max_size=4))
def test_addresses_formatted_by_the_library_are_parsed(pairs: list[tuple[str, str]]) -> None:
    value = ", ".join(email.utils.formataddr(pair) for pair in pairs)
    assert [decode_address(structure) for structure in parse_addresses(value.encode())] == pairs


@given(st.datetimes(min_value=datetime(1900, 1, 1)), st.integers(-23 * 60, 23 * 60))
def test_dates_equal_those_of_the_library(moment: datetime, minutes_east: int) -> None:
    value = email.utils.format_datetime(moment.replace(tzinfo=timezone(timedelta(minutes=minutes_east))))
    theirs = email.utils.parsedate_tz(value)
    assert theirs is not None
    assert parse_date(value.encode()) == email.utils.mktime_tz(theirs)
