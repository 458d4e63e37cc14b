"""The states of an SMTP session, and the sets of them that `session.COMMANDS` names (RFC 5321 §4.1.4)."""

from enum import StrEnum


class State(StrEnum):
    """The progress of a session, named by the last command that was accepted."""

    CONNECT = "connect"
    READY = "ready"  # after HELO or EHLO, or the end of a transaction
    MAIL = "mail"
    RCPT = "rcpt"
    BDAT = "bdat"


ANY = frozenset(State)
READY = frozenset({State.READY})
MAIL_OR_RCPT = frozenset({State.MAIL, State.RCPT})
RCPT = frozenset({State.RCPT})
RCPT_OR_BDAT = frozenset({State.RCPT, State.BDAT})
