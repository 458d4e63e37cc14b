"""Signed envelope identifiers."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_mailstore.envelope_ids import sign_envelope, verify_envelope
from relate_mailstore.types import AccountId, MessageId
from relate_smtp.parameters import MAIL_PARAMETERS

SECRET = b"0123456789abcdef0123456789abcdef"
MESSAGE, ALICE = MessageId(UUID(int=4242)), AccountId(7)
SIGNED = sign_envelope(SECRET, MESSAGE, ALICE, "a.example")


@given(st.uuids(), st.integers(1, 2**63 - 1))
def test_an_identifier_is_verified_in_any_case(message: UUID, account: int) -> None:
    signed = sign_envelope(SECRET, MessageId(message), AccountId(account), "a.example")
    for each in (signed, signed.upper()):
        assert verify_envelope(SECRET, each, AccountId(account), "a.example") == message


def test_an_identifier_is_an_envid_that_needs_no_encoding() -> None:  # RFC 3461 §4.4
    assert MAIL_PARAMETERS["ENVID"].fullmatch(SIGNED)
    assert "+" not in SIGNED


@pytest.mark.parametrize(
    ("secret", "account", "domain"),
    [(SECRET[::-1], ALICE, "a.example"), (SECRET, AccountId(8), "a.example"), (SECRET, ALICE, "b.example")],
)
def test_another_secret_account_or_destination_does_not_verify(secret: bytes, account: AccountId, domain: str) -> None:
    assert verify_envelope(SECRET, SIGNED, ALICE, "a.example") == MESSAGE
    assert verify_envelope(secret, SIGNED, account, domain) is None


@given(st.integers(0, len(SIGNED) - 1), st.characters(codec="utf-8"))
def test_a_changed_identifier_is_not_verified(position: int, character: str) -> None:
    changed = SIGNED[:position] + character + SIGNED[position + 1 :]
    verified = verify_envelope(SECRET, changed, ALICE, "a.example")
    assert (verified is None) is (changed.lower() != SIGNED)


@pytest.mark.parametrize(
    "text", ["", ".", "QQ314159", SIGNED[:-1], f"{SIGNED}0", f"{SIGNED}\n", f" {SIGNED}", "0" * 99]
)
def test_another_text_is_not_verified(text: str) -> None:
    assert verify_envelope(SECRET, text, ALICE, "a.example") is None


def test_identifiers_do_not_change_between_versions() -> None:
    """Reports arrive days after the message was sent, so that every version verifies the identifiers of older ones."""
    assert SIGNED == "00000000000000000000000000001092.5b8f9c79c01be5ad2bb04a28d2b345e8"
