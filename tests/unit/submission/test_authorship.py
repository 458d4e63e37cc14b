"""Who has written a submission, and the Sender that it gets: RFC 5322 §3.6.2, RFC 6409 §8.1."""

from datetime import UTC, datetime

import pytest

from relate_accounts.types import User, UserId
from relate_submission.authorship import MAX_VALUE_OCTETS, NO_EDIT, author_of, check_authorship
from relate_submission.header import MAX_FIELDS, Header, TooManyFields
from tests.unit.smtp.smtp_fixtures import SmtpBackend

ADDED = b"Sender: ann@example.net\r\n"
SENDER = "ann@example.net"


@pytest.fixture
async def backend() -> SmtpBackend:
    backend = SmtpBackend()
    await backend.add_person(
        "ann@example.net", aliases=("ann@xn--bcher-kva.example", '"a@b"@example.net', "*@catch.example")
    )
    await backend.add_person("bob@example.net")
    return backend


async def edited(backend: SmtpBackend, header: bytes, sender: str = SENDER, *, is_utf8: bool = False) -> bytes:
    """The header with the edit, as `build_message` makes it."""
    user = await backend.accounts.user_by_address("ann@example.net")
    parsed = Header(header)
    edit = await check_authorship(parsed, sender, user, backend.directory, is_utf8=is_utf8)
    return edit.added + parsed.without(edit.removed)


@pytest.mark.parametrize(
    "field",
    [
        "From: ann@example.net",
        "FROM : <Ann@EXAMPLE.net>",
        "From: Ann <ann+list@example.net>",
        'From: "Ann, Büro (x" <ann@example.net> (comment (nested))',
        "From: Smith, Ann <ann@example.net>",
        "From: =?utf-8?q?boss=40example=2Eorg?= <ann@example.net>",
        'From: "boss@example.org" <ann@example.net>',  # an address in quotes is a name
        "From: (boss@example.org) ann@example.net",
        "From:\r\n\tann\r\n @ example . net",  # obsolete: space around "@" and dots
        "From: ann(a)@(b)example.net",
        'From: "ann"@example.net',
        'From: "a@b"@example.net',
        "From: ann@bücher.example",
        "From: ann@XN--BCHER-KVA.example",
        "From: any.one@catch.example",
        "Subject: x\r\nnot a field\r\nFrom: ann@example.net",
    ],
)
async def test_an_address_of_the_user_needs_no_sender(backend: SmtpBackend, field: str) -> None:
    header = f"{field}\r\n".encode()
    assert await edited(backend, header) == header


@pytest.mark.parametrize(
    "field",
    [
        b"Subject: no author",
        b"From:",
        b"From: ann",
        b"From: <>",
        b"From: bob@example.net",
        b"From: ann@example.org",
        b'From: "ann@example.net" <boss@example.org>',
        b"From: boss@example.org <ann@example.net>",  # the name is an address for some readers
        b"From: boss@example.org (x) <ann@example.net>",
        b"From: ann@example.net (<boss@example.org>",  # a comment that is never closed
        b'From: (a"b) boss@example.org <ann@example.net> (c"d)',  # quotes in comments are no quotes
        b'From: ann@example.net, "x <boss@example.org>',
        b"From: ann@example.net, bob@example.net",
        b"From: ann@example.net, ann@example.net",  # several authors need a Sender
        b"From: ann@example.net bob@example.net",
        b"From: Team: ann@example.net;",
        b"From: undisclosed: ;",
        b"From: <@example.org:ann@example.net>",
        b"From: =?utf-8?q?ann=40example=2Enet?=",
        b"From: ann@example.net\r\nFrom: ann@example.net",
        b"From: ann@example.net\r\nfrom : boss@example.org",
        b"\xef\xbb\xbfFrom: boss@example.org\r\nFrom: ann@example.net",
        b"From: ann\0@example.net",
        b"From: ann@exam\x08ple.net",
        b"From: Ann\rX <ann@example.net>",
        b"From: Ann <ann@example.net> \xff",
        b"From: ann@[192.0.2.1]",
        b"From: ann@" + b"\xe2\x80\x8b".join([b"example", b".net"]) + b".",
        b"From: (" + b"x" * MAX_VALUE_OCTETS + b") ann@example.net",
        b"Resent-From: ann@example.net\r\nFrom: boss@example.org",
        b"X-From: ann@example.net\r\nSubject: x\r\n From: ann@example.net",
    ],
)
async def test_any_other_author_gets_the_account_as_sender(backend: SmtpBackend, field: bytes) -> None:
    header = field + b"\r\n"
    assert await edited(backend, header) == ADDED + header


@pytest.mark.parametrize("author", ["boss@example.org", "ann@example.net", "ann@example.net, bob@example.net"])
async def test_a_sender_of_the_user_is_kept(backend: SmtpBackend, author: str) -> None:
    header = f"Sender: ann@catch.example\r\nFrom: {author}\r\n".encode()
    assert await edited(backend, header) == header


@pytest.mark.parametrize(
    "sender",
    [
        b"Sender: bob@example.net\r\n",
        b"Sender:\r\n",
        b"sender : ann@example.net,\r\n bob@example.net\r\n",
        b"Sender: ann@example.net\r\nSender: ann@example.net\r\n",
        b"Sender: ann@example.net\r\n\xef\xbb\xbfSender: boss@example.org\r\n",
    ],
)
async def test_any_other_sender_is_replaced(backend: SmtpBackend, sender: bytes) -> None:
    own, others = b"From: ann@example.net\r\n", b"From: boss@example.org\r\n"
    assert await edited(backend, sender + own) == own
    assert await edited(backend, others + sender) == ADDED + others


async def test_the_sender_is_the_address_of_the_envelope(backend: SmtpBackend) -> None:
    header = b"From: boss@example.org\r\n"
    assert await edited(backend, header, "Ann@Catch.example") == b"Sender: Ann@Catch.example\r\n" + header
    assert await edited(backend, header, "ann@bücher.example", is_utf8=True) == (
        "Sender: ann@bücher.example\r\n".encode() + header
    )


async def test_the_sender_of_the_null_reverse_path_is_the_primary_address(backend: SmtpBackend) -> None:
    header = b"From: boss@example.org\r\n"
    assert await edited(backend, header, "") == ADDED + header
    user = User(UserId(9), "änn@example.net", "", datetime.now(UTC))
    assert await check_authorship(Header(header), "", user, backend.directory, is_utf8=False) == NO_EDIT
    edit = await check_authorship(Header(header), "", user, backend.directory, is_utf8=True)
    assert edit.added == "Sender: änn@example.net\r\n".encode()


def test_too_many_fields_are_refused() -> None:
    with pytest.raises(TooManyFields):
        author_of(Header(b"From: a@b\r\n" * (MAX_FIELDS + 1)))
