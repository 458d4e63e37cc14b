"""The part of a report that programs read (RFC 3464 §2, RFC 3461 §6.3, RFC 6533 §4.1)."""

from dataclasses import replace

from relate_relay.reports.report import make_report
from relate_relay.reports.types import DeliveryResult, Kind, Report
from tests.unit.relay.reports.reports import DELAYED, FAILED, MESSAGE, RELAYED, parse, parts_of, status_groups, write

CAROL = DeliveryResult(  # RFC 3461 §10: the message from Alice to Carol
    "Carol@Ivory.EDU",
    Kind.FAILED,
    "5.0.0",
    reply="550 error - no such recipient",
    remote_mta="Ivory.EDU",
    notify="FAILURE",
    orcpt="rfc822;Carol@Ivory.EDU",
)


def test_the_example_of_rfc_3461() -> None:
    message, recipient = status_groups(write(CAROL, message=replace(MESSAGE, envid="QQ314159")))
    assert message == {
        "Original-Envelope-Id": "QQ314159",
        "Reporting-MTA": "dns; mail.example.org",
        "Arrival-Date": "Mon, 30 Nov 2026 00:00:00 +0000",
    }
    assert recipient == {
        "Original-Recipient": "rfc822; Carol@Ivory.EDU",
        "Final-Recipient": "rfc822; Carol@Ivory.EDU",
        "Action": "failed",
        "Status": "5.0.0",
        "Remote-MTA": "dns; Ivory.EDU",
        "Diagnostic-Code": "smtp; 550 error - no such recipient",
    }


def test_a_delay_has_the_times_of_the_attempts() -> None:  # RFC 3464 §2.3.7, §2.3.9
    _, recipient = status_groups(write(replace(DELAYED, attempted_at=MESSAGE.arrived_at + 60)))
    assert recipient == {
        "Final-Recipient": "rfc822; dan@example.net",
        "Action": "delayed",
        "Status": "4.4.1",
        "Diagnostic-Code": "X-Relate; connection refused",
        "Last-Attempt-Date": "Mon, 30 Nov 2026 00:01:00 +0000",
        "Will-Retry-Until": "Sat, 05 Dec 2026 00:00:00 +0000",
    }


def test_will_retry_until_is_in_the_report_of_a_delay_only() -> None:  # RFC 3464 §2.3.9
    assert ["Will-Retry-Until" in group for group in status_groups(write(FAILED, DELAYED, RELAYED))[1:]] == [
        False,
        True,
        False,
    ]


def test_the_original_recipient_is_there_only_if_orcpt_was() -> None:  # RFC 3461 §6.3 (d)
    assert "Original-Recipient" not in status_groups(write())[1]


def test_the_envelope_id_is_there_only_if_envid_was() -> None:  # RFC 3461 §6.3 (a)
    assert "Original-Envelope-Id" not in status_groups(write())[0]


def test_xtext_is_decoded() -> None:  # RFC 3461 §6.3 (a)
    result = replace(FAILED, orcpt="rfc822;bob+2Btag@example.com")
    message, recipient = status_groups(write(result, message=replace(MESSAGE, envid="a+3Db")))
    assert message["Original-Envelope-Id"] == "a=b"
    assert recipient["Original-Recipient"] == "rfc822; bob+tag@example.com"


def test_line_ends_in_xtext_add_no_field() -> None:
    result = replace(FAILED, orcpt="rfc822;bob+0D+0AAction:+20delivered")
    message, recipient = status_groups(
        write(result, message=replace(MESSAGE, envid="a+0D+0AX-Field:+20b+0D+0A+0D+0Ac"))
    )
    assert message["Original-Envelope-Id"] == r"a\r\nX-Field: b\r\n\r\nc"
    assert recipient["Original-Recipient"] == r"rfc822; bob\r\nAction: delivered"
    assert recipient["Action"] == "failed"


def test_a_result_without_an_enhanced_code_has_an_unspecific_status() -> None:  # RFC 3461 §6.3 (g)
    results = (replace(each, status="") for each in (FAILED, DELAYED, RELAYED))
    assert [group["Status"] for group in status_groups(write(*results))[1:]] == ["5.0.0", "4.0.0", "2.0.0"]


def test_a_reply_that_is_not_ascii_is_escaped() -> None:
    raw = write(replace(FAILED, reply="550 unbekannter Empfänger"))
    assert parts_of(parse(raw))[1].get_content_type() == "message/delivery-status"
    assert status_groups(raw)[1]["Diagnostic-Code"] == r"smtp; 550 unbekannter Empf\xe4nger"


def test_addresses_that_are_not_ascii_make_the_part_utf8() -> None:  # RFC 6533 §3, §4.1
    result = replace(
        FAILED, address="bøb@example.com", orcpt=r"utf-8;b\x{F8}b@example.com", reply="550 unbekannter Empfänger"
    )
    raw = write(result)
    part = parts_of(parse(raw))[1]
    assert part.get_content_type() == "message/global-delivery-status"
    assert part["Content-Transfer-Encoding"] == "8bit"
    recipient = status_groups(raw)[1]
    assert recipient["Original-Recipient"] == "utf-8; bøb@example.com"
    assert recipient["Final-Recipient"] == "utf-8; bøb@example.com"
    assert recipient["Diagnostic-Code"] == "smtp; 550 unbekannter Empfänger"


def test_an_overlong_reply_is_cut() -> None:
    diagnostic = status_groups(write(replace(FAILED, reply=f"550 {'x' * 5_000}")))[1]["Diagnostic-Code"]
    assert len(diagnostic) == 900
    assert diagnostic.endswith("x...")


def test_a_server_name_without_a_domain_is_no_name_of_the_dns() -> None:  # RFC 3461 §6.3 (b)
    raw = make_report(Report(MESSAGE, (FAILED,)), server_name="localhost", report_id="1", now=0.0)
    assert status_groups(raw)[0]["Reporting-MTA"] == "x-local-hostname; localhost"
