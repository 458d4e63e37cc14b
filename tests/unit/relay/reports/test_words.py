"""Enhanced codes in words (RFC 3463, and the registry of RFC 5248)."""

import pytest

from relate_relay.reports.types import Kind
from relate_relay.reports.words import checked_status, explain

SENTENCES = [
    ("5.1.1", "no mailbox with this address"),  # RFC 3463 §3.2
    ("5.1.2", "domain of the address does not exist"),
    ("5.1.3", "malformed"),
    ("5.1.6", "moved"),
    ("5.1.8", "domain of your address"),
    ("5.1.10", "whole domain, accepts no mail"),  # RFC 7505 §4.2
    ("5.1.99", "did not accept the address"),
    ("5.2.1", "disabled"),  # RFC 3463 §3.3
    ("5.2.2", "mailbox is full"),
    ("4.2.2", "mailbox is full"),
    ("5.2.3", "larger than the recipient's mailbox accepts"),
    ("4.3.1", "no space left"),  # §3.4
    ("4.3.2", "accepts no mail at the moment"),
    ("5.3.4", "larger than the recipient's mail server accepts"),
    ("4.4.1", "does not answer"),  # §3.5
    ("4.4.2", "connection to the recipient's mail server was lost"),
    ("4.4.3", "looked up in the DNS"),
    ("5.4.4", "No mail server could be found"),
    ("5.4.6", "loop"),
    ("4.4.7", "in the time that we try"),
    ("5.4.7", "in the time that we try"),
    ("5.5.3", "too many recipients"),  # §3.6
    ("5.5.2", "did not understand each other"),
    ("5.6.0", "content"),  # §3.7
    ("5.6.3", "converted"),
    ("5.6.7", "letters outside of ASCII"),  # RFC 6531 §3.5
    ("5.6.8", "letters outside of ASCII"),
    ("5.7.1", "because of its policy"),  # RFC 3463 §3.8
    ("4.7.1", "for the time being"),
    ("5.7.5", "secure connection (TLS)"),
    ("4.7.5", "secure connection (TLS)"),
    ("5.7.8", "password"),  # RFC 4954 §6
    ("5.7.21", "DKIM"),  # RFC 7372 §3.1
    ("5.7.23", "SPF"),  # RFC 7372 §3.2
    ("5.7.26", "DMARC"),  # RFC 7372 §3.3
    ("5.7.30", "TLS"),  # RFC 8689 §5
    ("5.0.0", "refused the message"),  # RFC 3463 §3.1
    ("4.0.0", "could not accept"),
    ("5.9.9", "refused the message"),
    ("", "refused the message"),
    ("nonsense", "refused the message"),
]


@pytest.mark.parametrize(("status", "words"), SENTENCES)
def test_a_code_is_explained_in_a_sentence_with_a_remedy(status: str, words: str) -> None:
    explanation = explain(Kind.FAILED, status)
    assert words in explanation.sentence
    assert all(text[:1].isupper() and text.endswith(".") for text in explanation)


def test_a_delay_without_a_code_is_not_called_a_refusal() -> None:
    assert "could not accept" in explain(Kind.DELAYED, "").sentence


@pytest.mark.parametrize("kind", [Kind.RELAYED, Kind.DELIVERED])
def test_success_is_explained_by_its_kind(kind: Kind) -> None:
    assert explain(kind, "2.1.5") == explain(kind, "")
    assert explain(Kind.RELAYED, "") != explain(Kind.DELIVERED, "")


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        (Kind.FAILED, "5.1.1", "5.1.1"),
        (Kind.FAILED, "4.4.7", "4.4.7"),
        (Kind.FAILED, "5.01.001", "5.1.1"),  # RFC 3464, Appendix A
        (Kind.FAILED, "", "5.0.0"),  # RFC 3461 §6.3 (g)
        (Kind.DELAYED, "4.1", "4.0.0"),
        (Kind.RELAYED, "3.0.0", "2.0.0"),
        (Kind.DELIVERED, "2.0.0\r\n", "2.0.0"),
    ],
)
def test_a_status_is_well_formed(kind: Kind, status: str, expected: str) -> None:
    assert checked_status(kind, status) == expected
