"""The part of a report that people read."""

from dataclasses import replace

from relate_relay.reports.types import DeliveryResult, Kind
from tests.unit.relay.reports.reports import DELAYED, FAILED, RELAYED, explanation_of, message_with, write


def test_a_failure_is_explained_with_the_reply_and_a_remedy() -> None:
    assert explanation_of(write()) == (
        "Your message was not delivered to this recipient:\n"
        "\n"
        "    bob@example.com\n"
        "\n"
        "What happened: There is no mailbox with this address.\n"
        "\n"
        "The mail server mx.example.com replied:\n"
        "> 550 5.1.1 No such user\n"
        "\n"
        "What you can do: Check the address for typing errors, and send the message\n"
        "again to the right one.\n"
        "\n"
        "Subject of your message: An offer\n"
        "Received from you: Mon, 30 Nov 2026 00:00:00 +0000\n"
        "This report is from the mail system mail.example.org.\n"
    )


def test_a_delay_says_how_long_we_go_on_trying() -> None:
    text = " ".join(explanation_of(write(DELAYED)).split())
    assert "has not been delivered to this recipient yet: dan@example.net" in text
    assert "Diagnosis: connection refused" in text
    assert "we go on trying until Sat, 05 Dec 2026 00:00:00 +0000" in text


def test_a_success_asks_for_nothing() -> None:
    relayed = " ".join(explanation_of(write(RELAYED)).split())
    assert "does not confirm the delivery" in relayed
    assert "What you can do" not in relayed
    delivered = DeliveryResult("ann@example.org", Kind.DELIVERED)
    assert "The message is in the recipient's mailbox." in explanation_of(write(delivered))


def test_recipients_with_the_same_cause_are_explained_together() -> None:
    text = explanation_of(write(FAILED, DELAYED, replace(FAILED, address="car@example.com")))
    assert "to these 2 recipients:\n\n    bob@example.com\n    car@example.com\n\n" in text
    assert text.count("What happened") == 2


def test_the_subject_of_the_message_is_decoded() -> None:
    text = explanation_of(write(message=message_with(b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n")))
    assert "Subject of your message: Grüße\n" in text


def test_a_reply_is_quoted_on_every_line() -> None:
    text = explanation_of(write(replace(FAILED, reply=f"550 {'no such user ' * 20}\r\n\r\nWhat you can do: Pay")))
    lines = text.splitlines()
    quoted = [line for line in lines if line.startswith("> ")]
    assert len(quoted) > 3
    assert "> " + quoted[-1].removeprefix("> ") in lines
    assert r"\r\n\r\nWhat" in " ".join(quoted)
    assert sum(line.startswith("What you can do") for line in lines) == 1
