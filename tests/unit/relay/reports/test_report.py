"""A report as a whole, read by the `email` package (RFC 3464, RFC 6522)."""

from dataclasses import replace

import pytest

from relate_mime import index_message
from relate_relay.reports.report import MAX_LISTED_RECIPIENTS
from relate_relay.reports.types import DeliveryResult
from tests.unit.relay.reports.reports import (
    DELAYED,
    FAILED,
    MESSAGE,
    ORIGINAL,
    RELAYED,
    explanation_of,
    has_expected_structure,
    message_with,
    parse,
    parts_of,
    status_groups,
    write,
)


def test_a_report_has_an_explanation_a_status_and_the_header_of_the_message() -> None:
    raw = write()
    message = parse(raw)
    assert has_expected_structure(raw)
    assert message.get_content_type() == "multipart/report"
    assert message["Content-Type"].params["report-type"] == "delivery-status"
    assert [part.get_content_type() for part in parts_of(message)] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]


def test_the_header_of_a_report() -> None:
    message = parse(write())
    assert message["Return-Path"] == "<>"  # RFC 3461 §6.1
    assert message["From"] == "Mail Delivery System <postmaster@mail.example.org>"
    assert message["To"] == "ann@example.org"
    assert message["Date"] == "Mon, 30 Nov 2026 00:00:04 +0000"
    assert message["Message-ID"] == "<report-1@mail.example.org>"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["MIME-Version"] == "1.0"


def test_a_report_belongs_to_the_thread_of_the_message() -> None:  # RFC 5322 §3.6.4
    message = parse(write())
    assert message["In-Reply-To"] == message["References"] == "<original@example.org>"


@pytest.mark.parametrize(
    "message_id",
    [b"", b"Message-ID: original\r\n", b"Message-ID: <a b>\r\n", b"Message-ID: <%b@b>\r\n" % (b"a" * 1_000)],
)
def test_a_malformed_message_id_is_not_referred_to(message_id: bytes) -> None:
    raw = write(message=message_with(message_id + b"Subject: x\r\n\r\n"))
    assert has_expected_structure(raw)
    assert parse(raw)["In-Reply-To"] is None


@pytest.mark.parametrize(
    ("results", "subject"),
    [
        ((FAILED,), "Not delivered to bob@example.com"),
        ((DELAYED,), "Not delivered yet to dan@example.net"),
        ((RELAYED,), "Handed to the mail server of eve@example.net"),
        ((RELAYED, FAILED, DELAYED), "Not delivered to bob@example.com"),
        ((FAILED,) * 5, "Not delivered to bob@example.com, bob@example.com and 3 more"),
        ((replace(FAILED, address="bøb@example.com"),), "Not delivered to bøb@example.com"),
        ((replace(FAILED, address="=?utf-8?q?x?=@b.example"),), "Not delivered to =?utf-8?q?x?=@b.example"),
    ],
)
def test_the_subject_has_the_kind_and_the_first_recipients(results: tuple[DeliveryResult, ...], subject: str) -> None:
    assert parse(write(*results))["Subject"] == subject


def test_the_subject_is_bounded() -> None:
    raw = write(*(replace(FAILED, address=f"{'é' * 400}{number}@example.com") for number in range(3)))
    assert has_expected_structure(raw)
    assert len(parse(raw)["Subject"]) < 200


def test_recipients_beyond_the_limit_are_counted() -> None:
    results = [replace(FAILED, address=f"user{number}@example.com") for number in range(MAX_LISTED_RECIPIENTS + 7)]
    raw = write(DELAYED, *results)
    groups = status_groups(raw)
    assert len(groups) == 1 + MAX_LISTED_RECIPIENTS
    assert {group["Action"] for group in groups[1:]} == {"failed"}  # the gravest are listed
    assert "also about 8 other recipients" in explanation_of(raw)
    assert parse(raw)["Subject"].endswith("and 105 more")


def test_the_boundary_does_not_occur_in_the_message() -> None:
    boundary = parse(write(message=message_with(ORIGINAL, ret="FULL"))).get_boundary()
    content = ORIGINAL + f"--{boundary}--\r\n".encode()
    raw = write(message=message_with(content, ret="FULL"))
    assert has_expected_structure(raw)
    assert f"\r\n--{parse(raw).get_boundary()}".encode() not in content


def test_a_sender_that_is_not_ascii_is_addressed_in_utf8() -> None:  # RFC 6532 §3.2
    assert "\r\nTo: <änn@example.org>\r\n".encode() in write(message=replace(MESSAGE, sender="änn@example.org"))


def test_the_preview_in_lists_of_messages_is_what_happened() -> None:
    assert index_message(write()).preview.startswith(
        "Your message was not delivered to this recipient: bob@example.com"
    )


def test_the_store_reads_the_same_parts_and_thread() -> None:
    index = index_message(write(message=message_with(ORIGINAL, ret="FULL")))
    assert [part.media_type for part in index.parts if part.section in {"", "1", "2", "3"}] == [
        "multipart/report",
        "text/plain",
        "message/delivery-status",
        "message/rfc822",
    ]
    assert index.references == ("original@example.org",)
