"""Signed envelope identifiers (ENVID, RFC 3461 §4.4): a report that returns one is about a message that we sent. Pure.

An identifier names the message, and the signature covers the account that sent it and the destination as well: a server
that gets one can report about that message and its recipients at that destination, to that account, and no more.
"""

import hmac
import re
from uuid import UUID

from relate_mailstore.identifiers import AccountId, MessageId

SIGNATURE_CHARACTERS = 32
"""Hexadecimal: 128 bits. Identifiers have 65 characters of the 100 that ENVID may have, none of which xtext encodes."""

_ENVELOPE_ID = re.compile(rf"([0-9a-f]{{32}})\.([0-9a-f]{{{SIGNATURE_CHARACTERS}}})")


def sign_envelope(secret: bytes, message_id: MessageId, account_id: AccountId, domain: str) -> str:
    """The identifier for a message of an account to a destination, in A-labels and lower case."""
    return f"{message_id.hex}.{_sign(secret, message_id, account_id, domain)}"


def verify_envelope(secret: bytes, envelope_id: str, account_id: AccountId, domain: str) -> MessageId | None:
    """The message that an identifier names; None if we did not make it for this account and destination.

    In any case of letters, because servers may change it.
    """
    match = _ENVELOPE_ID.fullmatch(envelope_id.lower())
    if match is None:
        return None
    message_id = MessageId(UUID(match[1]))
    expected = _sign(secret, message_id, account_id, domain)
    return message_id if hmac.compare_digest(match[2], expected) else None


def _sign(secret: bytes, message_id: MessageId, account_id: AccountId, domain: str) -> str:
    # The prefix separates this use of the secret from others. Only the domain has a variable form, and it is last.
    signed = f"envelope {message_id.hex} {account_id} {domain}".encode()
    return hmac.digest(secret, signed, "sha256").hex()[:SIGNATURE_CHARACTERS]
