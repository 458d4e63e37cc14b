"""Which report is due (RFC 3461 §5.2, §6; RFC 3834 §2)."""

import pytest

from relate_relay.reports.rules import (
    MAX_RETURNED_OCTETS,
    is_requested,
    kind_of_acceptance,
    report_due,
    returns_content,
)
from relate_relay.reports.types import DeliveryResult, Kind, Report
from tests.unit.relay.reports.reports import DELAYED, FAILED, MESSAGE, RELAYED, message_with

NOTIFY = [
    # RFC 3461 §5.2.6 (c), §5.2.5 (b), §5.2.2 (e), §5.2.3 (c)
    ("", Kind.FAILED, True),
    ("", Kind.DELAYED, True),
    ("", Kind.RELAYED, False),
    ("", Kind.DELIVERED, False),
    # §4.1, §5.2.2 (d)
    ("NEVER", Kind.FAILED, False),
    ("NEVER", Kind.DELAYED, False),
    ("NEVER", Kind.RELAYED, False),
    ("NEVER", Kind.DELIVERED, False),
    # §5.2.6 (b), §5.2.5 (c), §5.2.2 (b), §5.2.3 (a)
    ("SUCCESS", Kind.FAILED, False),
    ("SUCCESS", Kind.DELAYED, False),
    ("SUCCESS", Kind.RELAYED, True),
    ("SUCCESS", Kind.DELIVERED, True),
    # §5.2.6 (a), §5.2.5 (c), §5.2.3 (b)
    ("FAILURE", Kind.FAILED, True),
    ("FAILURE", Kind.DELAYED, False),
    ("FAILURE", Kind.RELAYED, False),
    ("FAILURE", Kind.DELIVERED, False),
    # §5.2.5 (a)
    ("DELAY", Kind.DELAYED, True),
    ("DELAY", Kind.FAILED, False),
    ("SUCCESS,FAILURE,DELAY", Kind.FAILED, True),
    ("SUCCESS,FAILURE,DELAY", Kind.DELAYED, True),
    ("SUCCESS,FAILURE,DELAY", Kind.RELAYED, True),
    # §4.1 b: in any combination of upper and lower case
    ("Success,failure", Kind.RELAYED, True),
    ("never", Kind.FAILED, False),
]


@pytest.mark.parametrize(("notify", "kind", "requested"), NOTIFY)
def test_notify_decides_which_report_is_requested(notify: str, kind: Kind, requested: bool) -> None:
    assert is_requested(kind, notify) is requested


def test_a_server_that_announces_dsn_reports_success_itself() -> None:  # RFC 3461 §5.2.1, §5.2.2 (b)
    assert kind_of_acceptance(announces_dsn=True) is None
    assert kind_of_acceptance(announces_dsn=False) is Kind.RELAYED


def test_one_report_has_the_results_of_all_recipients_that_requested_one() -> None:  # RFC 3461 §5.2.8
    silent = DeliveryResult("fred@example.com", Kind.FAILED, "5.1.1", notify="NEVER")
    report = report_due(MESSAGE, [RELAYED, silent, FAILED, DELAYED])
    assert report == Report(MESSAGE, (RELAYED, FAILED, DELAYED))
    assert report.kind is Kind.FAILED


def test_no_report_is_due_without_a_request() -> None:
    assert report_due(MESSAGE, []) is None
    assert report_due(MESSAGE, [DeliveryResult("fred@example.com", Kind.FAILED, "5.1.1", notify="NEVER")]) is None


def test_the_null_reverse_path_gets_no_report() -> None:  # RFC 3461 §5.2
    assert report_due(message_with(MESSAGE.content, sender=""), [FAILED]) is None


def test_a_stranger_gets_no_report_about_mail_from_outside() -> None:
    message = message_with(MESSAGE.content, sender="forged@example.com", is_submission=False)
    assert report_due(message, [FAILED]) is None
    with pytest.raises(ValueError, match="submission"):
        Report(message, (FAILED,))


@pytest.mark.parametrize(
    ("header", "due"),
    [
        (b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n", False),
        (b'content-type: Multipart/Report;\r\n\tboundary=b;\r\n\tReport-Type="Delivery-Status"\r\n', False),
        (b"Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n", False),
        (b"Content-Type: multipart/report; boundary=b\r\n", False),
        (b"Content-Type: multipart/report; report-type=tlsrpt; boundary=b\r\n", True),  # RFC 8460 §5.3
        (b"Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n", True),  # RFC 5965 §2
        (b"Content-Type: multipart/mixed; boundary=b\r\n", True),
        (b"Auto-Submitted: auto-replied\r\n", False),  # RFC 3834 §5
        (b'Auto-Submitted: Auto-Replied (vacation); owner-email="a@b.example"\r\n', False),
        (b"Auto-Submitted: auto-generated\r\n", True),  # a program that sends mail learns that it failed
        (b"Auto-Submitted: no\r\n", True),
        (b"Subject: x\r\n\r\nAuto-Submitted: auto-replied\r\n", True),
        (b"", True),
    ],
)
def test_a_report_or_automatic_reply_gets_no_report(header: bytes, due: bool) -> None:
    assert (report_due(message_with(header + b"\r\ntext\r\n"), [FAILED]) is not None) is due


@pytest.mark.parametrize(
    ("ret", "kind", "octets", "whole"),
    [
        ("FULL", Kind.FAILED, MAX_RETURNED_OCTETS, True),
        ("full", Kind.FAILED, 1, True),
        ("FULL", Kind.FAILED, MAX_RETURNED_OCTETS + 1, False),
        ("HDRS", Kind.FAILED, 1, False),
        ("", Kind.FAILED, 1, False),
        ("FULL", Kind.DELAYED, 1, False),  # RFC 3461 §4.3: RET applies to failures only
        ("FULL", Kind.RELAYED, 1, False),
        ("FULL", Kind.DELIVERED, 1, False),
    ],
)
def test_only_a_small_message_is_returned_whole_on_request(ret: str, kind: Kind, octets: int, whole: bool) -> None:
    assert returns_content(message_with(b"x" * octets, ret=ret), kind) is whole


def test_the_content_of_a_message_is_not_in_its_repr() -> None:
    assert "offer" not in repr(Report(MESSAGE, (FAILED,)))
