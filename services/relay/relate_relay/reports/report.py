"""Writes a delivery report: a multipart/report for people and programs (RFC 3464, RFC 6522)."""

from relate_mime.writing.system_fields import system_fields
from relate_mime.writing.text import visible
from relate_relay.reports.explanation_part import explanation_part
from relate_relay.reports.original import read_original
from relate_relay.reports.parts import encode_report
from relate_relay.reports.returned import returned_part
from relate_relay.reports.status_part import status_part
from relate_relay.reports.types import DeliveryResult, Kind, Report

MAX_LISTED_RECIPIENTS = 100
"""Recipients that a report lists, as many as a mail transaction has at least (RFC 5321 §4.5.3.1.8)."""

MAX_SUBJECT_ADDRESSES = 2
"""Recipients that the subject names."""

MAX_SUBJECT_ADDRESS_OCTETS = 64
"""The longest address in the subject; a longer one is cut."""

_SUBJECTS = {
    Kind.FAILED: "Not delivered to",
    Kind.DELAYED: "Not delivered yet to",
    Kind.RELAYED: "Handed to the mail server of",
    Kind.DELIVERED: "Delivered to",
}


def make_report(report: Report, *, server_name: str, report_id: str, now: float) -> bytes:
    """Write a report as it is stored in the sender's mailbox, with the null Return-Path (RFC 3461 §6.1).

    `server_name` is the name of this server in the DNS, `report_id` is unique (it becomes the Message-ID), and `now`
    is in seconds since the epoch. The size is bounded, and the time is linear in the size of the arguments.
    """
    original = read_original(report.message.content)
    listed = sorted(report.results, key=lambda result: _GRAVITY[result.kind])[:MAX_LISTED_RECIPIENTS]
    parts = (
        explanation_part(report, listed, original.subject, server_name),
        status_part(report.message, listed, server_name),
        returned_part(report, original),
    )
    header = system_fields(
        report.message.sender,
        _subject(report, listed),
        server_name=server_name,
        identifier=report_id,
        now=now,
        auto_submitted="auto-replied",
        in_reply_to=original.message_id,
    )
    return b"".join([*header, encode_report(parts)])


def _subject(report: Report, listed: list[DeliveryResult]) -> str:
    kind = report.kind
    addresses = [result.address for result in listed if result.kind is kind][:MAX_SUBJECT_ADDRESSES]
    names = ", ".join(visible(address, MAX_SUBJECT_ADDRESS_OCTETS) for address in addresses)
    others = sum(result.kind is kind for result in report.results) - len(addresses)
    return f"{_SUBJECTS[kind]} {names}" + (f" and {others:,} more" if others else "")


_GRAVITY = {kind: position for position, kind in enumerate(Kind)}
