"""Which command is allowed when (RFC 5321 §4.1.4): the whole of it, as a table."""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """How far the session has come: the command that was accepted last."""

    CONNECT = "connect"
    READY = "ready"  # HELO or EHLO, or the end of a transaction
    MAIL = "mail"
    RCPT = "rcpt"
    BDAT = "bdat"


ANY = frozenset(State)
READY = frozenset({State.READY})
TRANSACTION = frozenset({State.MAIL, State.RCPT, State.BDAT})

STATES: Mapping[str, frozenset[State]] = {
    "HELO": ANY,
    "EHLO": ANY,
    "RSET": ANY,
    "NOOP": ANY,
    "QUIT": ANY,
    "VRFY": ANY,
    "EXPN": ANY,
    "HELP": ANY,
    "STARTTLS": READY,
    "AUTH": READY,  # RFC 4954 §4: not during a mail transaction
    "MAIL": READY,
    "RCPT": frozenset({State.MAIL, State.RCPT}),
    "DATA": frozenset({State.RCPT}),
    "BDAT": frozenset({State.RCPT, State.BDAT}),
}

TRANSACTION_VERBS = frozenset(verb for verb, states in STATES.items() if states <= TRANSACTION)
"""What the transaction at hand answers; the rest is for the session."""
