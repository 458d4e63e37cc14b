"""Flags of messages in mbox files: the header fields of Dovecot, mutt and Alpine. Pure.

Status (R read, O old), X-Status (A answered, F flagged, T draft, D deleted), X-Keywords.
"""

from collections.abc import Iterable, Mapping

from relate_mailstore.types import Flag

LETTERS: Mapping[str, Flag] = {
    "R": Flag.SEEN,
    "A": Flag.ANSWERED,
    "F": Flag.FLAGGED,
    "T": Flag.DRAFT,
    "D": Flag.DELETED,
}


def flag_fields(flags: int, keywords: Iterable[str]) -> bytes:
    """The three fields, which go before the message's own header, with LF."""
    status = "RO" if flags & Flag.SEEN else "O"
    letters = "".join(letter for letter, flag in LETTERS.items() if letter != "R" and flags & flag)
    return f"Status: {status}\nX-Status: {letters}\nX-Keywords: {' '.join(keywords)}\n".encode("ascii")
