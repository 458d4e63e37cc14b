"""The Return-Path and Received fields."""

from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime

import pytest

from relate_submission.trace_fields import (
    MAX_LINE_CHARACTERS,
    date_time,
    fold,
    protocol_name,
    received_clauses,
    received_field,
    return_path_field,
)

CLAUSES = received_clauses(
    "client.example.org", "192.0.2.7", "mail.example.net", "TLSv1.3 TLS_AES_256_GCM_SHA384", "ESMTPSA"
)


def test_received_field_over_tls_for_one_recipient() -> None:
    assert received_field(CLAUSES, "3f9c.1", "bob@example.net", 1_784_030_400.9) == (
        b"Received: from client.example.org ([192.0.2.7]) by mail.example.net\r\n"
        b"\t(TLSv1.3 TLS_AES_256_GCM_SHA384) with ESMTPSA\r\n"
        b"\tid 3f9c.1\r\n"
        b"\tfor <bob@example.net>;\r\n"
        b"\tTue, 14 Jul 2026 12:00:00 +0000\r\n"
    )


def test_received_field_without_tls_for_several_recipients() -> None:
    clauses = received_clauses("[IPv6:2001:db8::2]", "2001:db8::1", "mail.example.net", "", "SMTP")

    assert received_field(clauses, "3f9c.1", "", 0) == (
        b"Received: from [IPv6:2001:db8::2] ([IPv6:2001:db8::1]) by mail.example.net\r\n"
        b"\twith SMTP\r\n"
        b"\tid 3f9c.1;\r\n"
        b"\tThu, 01 Jan 1970 00:00:00 +0000\r\n"
    )


def test_client_without_an_address_has_no_literal() -> None:
    assert received_clauses("localhost", "", "mail.example.net", "", "SMTP") == (
        "Received: from localhost by mail.example.net with SMTP\r\n"
    )


@pytest.mark.parametrize("name", ["a", "x" * 40, "x" * 60, "x" * 255])
@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8:1111:2222:3333:4444:5555:6666"])
def test_only_a_long_word_makes_a_long_line(name: str, address: str) -> None:
    field = received_field(
        received_clauses(name, address, "mail.example.net", "TLSv1.2 ECDHE", "UTF8SMTPSA"), "i", "a@b", 0
    )

    lines = field.decode().split("\r\n")
    assert lines.pop() == ""
    assert [line for line in lines if len(line) > MAX_LINE_CHARACTERS] == ([f"\tfrom {name}"] if len(name) > 66 else [])
    assert all(line.startswith("\t") for line in lines[1:])


def test_standard_library_parses_the_fields() -> None:
    raw = (
        return_path_field("ann@example.org")
        + received_field(CLAUSES, "i", "jörg@example.net", 1_784_030_400)
        + b"Subject: x\r\n\r\n"
    )

    message = message_from_bytes(raw, policy=policy.SMTPUTF8)

    assert message["Return-Path"] == "<ann@example.org>"
    assert parsedate_to_datetime(message["Received"].rpartition(";")[2]).timestamp() == 1_784_030_400
    assert "for <jörg@example.net>" in message["Received"]
    assert message["Subject"] == "x"


def test_null_reverse_path_is_a_null_return_path_field() -> None:
    assert return_path_field("") == b"Return-Path: <>\r\n"


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ((False, False, True, True), "SMTP"),
        ((True, False, False, False), "ESMTP"),
        ((True, False, True, False), "ESMTPS"),
        ((True, False, False, True), "ESMTPA"),
        ((True, False, True, True), "ESMTPSA"),
        ((True, True, False, False), "UTF8SMTP"),
        ((True, True, True, True), "UTF8SMTPSA"),
    ],
)
def test_protocol_has_its_registered_name(flags: tuple[bool, bool, bool, bool], name: str) -> None:
    extended, utf8, secure, authenticated = flags

    assert protocol_name(extended=extended, utf8=utf8, secure=secure, authenticated=authenticated) == name


def test_date_does_not_depend_on_the_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")

    assert date_time(86_400) == "Fri, 02 Jan 1970 00:00:00 +0000"


def test_fold_omits_empty_clauses() -> None:
    assert (
        fold("X:", "", "a", "", "b" * MAX_LINE_CHARACTERS, "c") == f"X: a\r\n\t{'b' * MAX_LINE_CHARACTERS}\r\n\tc\r\n"
    )
