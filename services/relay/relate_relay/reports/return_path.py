"""Signed return paths: a report that another server sends to one is about a message of ours (RFC 3464 §4.1).

The local part is `local+id-signature`, such as `bounces+4d2-0f3kq1v8s7ba`. Identifier and signature are in base32 of
digits and letters, in lower case; servers that change the case do not invalidate them. The signature covers the
identifier, the local part before it and the domain.
"""

import hmac
import re

MAX_LOCAL_PART_OCTETS = 64
"""The longest local part (RFC 5321 §4.5.3.1.1)."""

MAX_ID_BITS = 128
"""The largest identifier: a number of a database, or a UUID."""

SIGNATURE_BITS = 60
"""A forger needs 2⁵⁹ messages on average to hit one identifier."""

_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_BITS_PER_DIGIT = 5
_SIGNATURE_CHARACTERS = SIGNATURE_BITS // _BITS_PER_DIGIT
_ID_CHARACTERS = -(-MAX_ID_BITS // _BITS_PER_DIGIT)

MAX_ADDRESS_CHARACTERS = MAX_LOCAL_PART_OCTETS + 256
"""The longest address that is verified: local part, @, and the longest domain (RFC 5321 §4.5.3.1.2)."""

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]++"
_DOT_ATOM = re.compile(rf"{_ATOM}(?:\.{_ATOM})*+")
_RETURN_PATH = re.compile(
    rf"(?P<local>[^@\s]+)\+(?P<id>[{_DIGITS}]{{1,{_ID_CHARACTERS}}})"
    rf"-(?P<signature>[{_DIGITS}]{{{_SIGNATURE_CHARACTERS}}})@(?P<domain>[^@\s]++)"
)


def return_path(secret: bytes, queue_id: int, local: str, domain: str) -> str:
    """Return the reverse-path for a message: `local` with the signed identifier, at `domain`.

    Raises ValueError if the identifier is negative or has more than MAX_ID_BITS, if `local` is not a dot-atom of ASCII,
    or if the local part would have more than MAX_LOCAL_PART_OCTETS. Without an identifier and its signature, `local`
    has at most 24 octets where the identifier is a UUID, and 37 where it has 64 bits.
    """
    if not 0 <= queue_id < 1 << MAX_ID_BITS:
        raise ValueError("the identifier is out of range")
    if not _DOT_ATOM.fullmatch(local):
        raise ValueError("the local part is not a dot-atom")
    extended = f"{local}+{_encode(queue_id)}-{_sign(secret, queue_id, local, domain)}"
    if len(extended) > MAX_LOCAL_PART_OCTETS:
        raise ValueError(f"the local part is longer than {MAX_LOCAL_PART_OCTETS} octets")
    return f"{extended}@{domain}"


def verify(secret: bytes, address: str) -> int | None:
    """Return the identifier of a signed return path, in upper or lower case; None for any other address."""
    if len(address) > MAX_ADDRESS_CHARACTERS:
        return None
    match = _RETURN_PATH.fullmatch(address.lower())
    if match is None:
        return None
    queue_id = int(match["id"], 1 << _BITS_PER_DIGIT)
    expected = _sign(secret, queue_id, match["local"], match["domain"])
    return queue_id if hmac.compare_digest(match["signature"], expected) else None


def _sign(secret: bytes, queue_id: int, local: str, domain: str) -> str:
    # The prefix separates this use of the secret from others. No part contains "@" or a space.
    signed = f"return-path {queue_id} {local.lower()}@{domain.lower()}".encode()
    number = int.from_bytes(hmac.digest(secret, signed, "sha256"), "big") >> (256 - SIGNATURE_BITS)
    return _encode(number).rjust(_SIGNATURE_CHARACTERS, _DIGITS[0])


def _encode(number: int) -> str:
    digits = ""
    while number >= len(_DIGITS):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return _DIGITS[number] + digits
