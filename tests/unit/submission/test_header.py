"""The fields that are removed from headers and added to them."""

from collections.abc import Iterable

import pytest

from relate_submission.header import (
    MAX_AUTHSERV_ID_OCTETS,
    MAX_COMMENTS,
    MAX_FIELDS,
    Field,
    Header,
    TooManyFields,
    bcc_fields,
    forged_fields,
    missing_fields,
)

SERVER = "mail.example.net"


def without(content: bytes, fields: Iterable[Field], header: Header) -> bytes:
    return header.without(fields) + content[len(header.octets) :]


def without_bcc(content: bytes) -> bytes:
    header = Header(content)
    return without(content, bcc_fields(header), header)


def without_forged_fields(content: bytes) -> bytes:
    header = Header(content)
    return without(content, forged_fields(header, SERVER), header)


BCC = [
    (b"Bcc: c@d\r\nTo: a@b\r\n\r\nBcc: text\r\n", b"To: a@b\r\n\r\nBcc: text\r\n"),
    (b"To: a@b\r\nBCC :c@d\r\n\r\n", b"To: a@b\r\n\r\n"),
    (b"To: a@b\r\nbcc: c@d,\r\n\te@f,\r\n g@h\r\nCc: i@j\r\n\r\n", b"To: a@b\r\nCc: i@j\r\n\r\n"),
    (b"Resent-Bcc: c@d\r\nResent-To: a@b\r\nBcc:\r\n\r\n", b"Resent-To: a@b\r\n\r\n"),
    (b"Bcc: c@d\r\n", b""),
    (b"Bcc: c@d\r\n\r\nx\r\n", b"\r\nx\r\n"),
    (b"To: a\r\nBcc: c@d", b"To: a\r\n"),
]


@pytest.mark.parametrize(("content", "remainder"), BCC)
def test_bcc_fields_are_removed(content: bytes, remainder: bytes) -> None:
    assert without_bcc(content) == remainder


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\nBcc: c@d\r\n\r\n",
        b"To: a@b\r\n\r\nBcc: c@d\r\n",
        b"Subject: about\r\n Bcc: c@d\r\n\r\nx\r\n",
        b"X-Bcc: c@d\r\n\r\n",
        b"Bccx: c@d\r\n\r\n",
        b"Subject: the bcc: field\r\n\r\n",
    ],
)
def test_other_fields_are_not_removed(content: bytes) -> None:
    assert without_bcc(content) == content


# --- fields that only this server may add

FORGED = [
    b"Authentication-Results: mail.example.net; dkim=pass\r\n",
    b"authentication-results:MAIL.Example.Net\r\n",
    b"AUTHENTICATION-RESULTS :\tmail.example.net 1; spf=pass\r\n",
    b"Authentication-Results:\r\n mail.example.net;\r\n\tdkim=pass\r\n\theader.d=example.org\r\n",
    b"Authentication-Results: (a (nested) comment) mail.example.net (and another); none\r\n",
    b"Authentication-Results: (mail.example.org)mail.example.net;none\r\n",
    b'Authentication-Results: "mail.example.net"; none\r\n',
    b'Authentication-Results: "m\\ail.exam\\ple.net" ; none\r\n',
    b"Authentication-Results: mail.example.net.; none\r\n",
    b"Authentication-Results: mail.example.net/1; none\r\n",
    b"Authentication-Results: \r\n \r\n mail.example.net; none\r\n",
    b"Authentication-Results: ; dkim=pass\r\n",
    b"Authentication-Results:\r\n",
    b"Authentication-Results: (" + b"x" * MAX_AUTHSERV_ID_OCTETS + b") mail.example.net; none\r\n",
    b"Authentication-Results: " + b"(" * (MAX_COMMENTS + 1) + b" mail.example.net; none\r\n",
    b"Return-Path: <ann@example.org>\r\n",
    b"return-path :\r\n <ann@example.org>\r\n",
]


@pytest.mark.parametrize("field", FORGED)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"Subject: x\r\n\r\ntext\r\n"),
        (b"Subject: x\r\n folded\r\n", b"To: a@b\r\n\r\ntext\r\n"),
        (b"Subject: x\r\n", b"\r\n"),
        (b"Subject: x\r\n", b""),
        (b"no field\r\n\xef\xbb\xbf\r\n", b"Subject: x\r\n\r\n"),
        (b"From someone Thu Jan  1 00:00:00 1970\r\n", b"Subject: x\r\n\r\n"),
    ],
)
def test_forged_field_is_removed(before: bytes, field: bytes, after: bytes) -> None:
    assert without_forged_fields(before + field + after) == before + after
    assert without_forged_fields(before + field * 3 + after) == before + after


@pytest.mark.parametrize(
    "field",
    [
        b"Authentication-Results: mail.example.org; dkim=pass\r\n",
        b"Authentication-Results: mail.example.net.example.org; dkim=pass\r\n",
        b"Authentication-Results: (mail.example.net) mail.example.org; dkim=pass\r\n",
        b"Authentication-Results: example.org; smtp.mailfrom=mail.example.net\r\n",
        b"X-Authentication-Results: mail.example.net; dkim=pass\r\n",
        b"Authentication-Results-Original: mail.example.net; dkim=pass\r\n",
        b"Subject: about\r\n Authentication-Results: mail.example.net; dkim=pass\r\n",
        b"Subject: about\r\n\tReturn-Path: <a@b>\r\n",
        b"X-Return-Path: <a@b>\r\n",
    ],
)
def test_fields_of_other_servers_are_not_removed(field: bytes) -> None:
    content = b"Subject: x\r\n" + field + b"\r\n"
    assert without_forged_fields(content) == content


def test_body_is_unchanged() -> None:
    body = b"\r\nAuthentication-Results: mail.example.net; none\r\nReturn-Path: <a@b>\r\n\r\nReturn-Path: <a@b>\r\n"
    assert without_forged_fields(b"Subject: x\r\n" + body) == b"Subject: x\r\n" + body
    assert without_forged_fields(body) == body


def test_server_name_matches_as_u_label_and_a_label() -> None:
    content = "Authentication-Results: BÜCHER.example; none\r\n\r\n".encode()
    assert list(forged_fields(Header(content), "xn--bcher-kva.example"))
    assert not list(forged_fields(Header(content), SERVER))


@pytest.mark.parametrize("name", [b"Authentication-Results", b"Return-Path", b"return-pathological"])
def test_more_fields_than_the_limit_raise(name: bytes) -> None:
    field = name + b": x\r\n"
    list(forged_fields(Header(field * MAX_FIELDS + b"\r\n"), SERVER))
    with pytest.raises(TooManyFields):
        list(forged_fields(Header(field * (MAX_FIELDS + 1) + b"\r\n"), SERVER))


# --- fields that are added to a submission

DATE, MESSAGE_ID = "Tue, 14 Jul 2026 12:00:00 +0000", "1@mail.example.net"


@pytest.mark.parametrize(
    ("content", "added"),
    [
        (b"Subject: x\r\n\r\n", ["Date", "Message-ID"]),
        (b"", ["Date", "Message-ID"]),
        (b"\r\nDate: in the body\r\n", ["Date", "Message-ID"]),
        (b"DATE : today\r\n\r\n", ["Message-ID"]),
        (b"message-id:<a@b>\r\n\r\n", ["Date"]),
        (b"Subject: x\r\n Date: folded\r\n\r\n", ["Date", "Message-ID"]),
        (b"Dated: x\r\nResent-Message-ID: <a@b>\r\n\r\n", ["Date", "Message-ID"]),
        (b"no field\r\nDate: x\r\nMessage-ID: <a@b>\r\n\r\n", []),
    ],
)
def test_missing_date_and_message_id_are_added(content: bytes, added: list[str]) -> None:
    values = {"Date": DATE, "Message-ID": f"<{MESSAGE_ID}>"}
    expected = "".join(f"{name}: {values[name]}\r\n" for name in added).encode()
    assert missing_fields(Header(content), DATE, MESSAGE_ID) == expected
