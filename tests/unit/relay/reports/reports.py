"""Reports for the tests, and the structure of one as the `email` package reads it."""

import email
import email.policy
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

from relate_relay.reports.report import make_report
from relate_relay.reports.types import DeliveryResult, Kind, Report, ReportedMessage

ARRIVED_SECONDS = 1_795_996_800.0  # Mon, 30 Nov 2026 00:00:00 +0000
ORIGINAL = (
    b"From: Ann <ann@example.org>\r\n"
    b"To: bob@example.com\r\n"
    b"Subject: An offer\r\n"
    b"Message-ID: <original@example.org>\r\n"
    b"\r\n"
    b"The text\r\n"
)
MESSAGE = ReportedMessage(
    "ann@example.org", True, ORIGINAL, len(ORIGINAL), ARRIVED_SECONDS, ARRIVED_SECONDS + 432_000.0
)
FAILED = DeliveryResult(
    "bob@example.com",
    Kind.FAILED,
    "5.1.1",
    reply="550 5.1.1 No such user",
    remote_mta="mx.example.com",
    attempted_at=ARRIVED_SECONDS + 3.0,
)
DELAYED = DeliveryResult("dan@example.net", Kind.DELAYED, "4.4.1", error="connection refused")
RELAYED = DeliveryResult("eve@example.net", Kind.RELAYED, "2.1.5", reply="250 2.1.5 OK", notify="SUCCESS")


def message_with(content: bytes, **changes: Any) -> ReportedMessage:
    return replace(MESSAGE, content=content, size=len(content), **changes)


def write(*results: DeliveryResult, message: ReportedMessage = MESSAGE) -> bytes:
    return make_report(
        Report(message, results or (FAILED,)),
        server_name="mail.example.org",
        report_id="report-1",
        now=ARRIVED_SECONDS + 4.0,
    )


def parse(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def parts_of(message: EmailMessage) -> list[EmailMessage]:
    parts = message.get_payload()
    assert isinstance(parts, list)
    return [part for part in parts if isinstance(part, EmailMessage)]


def explanation_of(raw: bytes) -> str:
    text = parts_of(parse(raw))[0].get_content()
    assert isinstance(text, str)
    return text.replace("\r\n", "\n")


def status_groups(raw: bytes) -> list[dict[str, str]]:
    """The groups of fields in the status part, unfolded; the `email` package reads message/delivery-status only."""
    part = parts_of(parse(raw))[1]
    if part.get_content_type() == "message/delivery-status":
        blocks = part.get_payload()
        assert isinstance(blocks, list)
        groups = [block for block in blocks if isinstance(block, EmailMessage)]
        return [{name: " ".join(str(value).split()) for name, value in group.items()} for group in groups]
    start = raw.index(b"\r\n\r\n", raw.index(b"message/global-delivery-status")) + 4
    text = raw[start : raw.index(b"\r\n--=_", start)].decode().replace("\r\n ", " ")
    fields = [[line.partition(":") for line in group.split("\r\n")] for group in text.strip().split("\r\n\r\n")]
    return [{name: value.strip() for name, _, value in group} for group in fields]


def has_expected_structure(raw: bytes) -> bool:
    """Whether a report has its three parts without a defect, each field once, and only lines that may be sent."""
    message = parse(raw)
    parts = parts_of(message)
    lines = raw.split(b"\r\n")
    return (
        message.get_content_type() == "multipart/report"
        and len(parts) == 3
        and not message.defects
        and not any(part.defects for part in parts)
        and len(set(map(str.lower, message))) == len(message)
        and max(map(len, lines)) <= 998
        and raw.count(b"\n") == raw.count(b"\r") == len(lines) - 1
        and b"\0" not in raw
    )
