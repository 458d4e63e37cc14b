"""The states of a POP3 session, and the sets of them that `session.COMMANDS` names (RFC 1939 §3)."""

from enum import StrEnum


class State(StrEnum):
    """The states of RFC 1939 §3, in its words."""

    AUTHORIZATION = "AUTHORIZATION"
    TRANSACTION = "TRANSACTION"
    UPDATE = "UPDATE"


AUTHORIZATION = frozenset({State.AUTHORIZATION})
TRANSACTION = frozenset({State.TRANSACTION})
ANY = AUTHORIZATION | TRANSACTION
"""No command is allowed in the UPDATE state, which QUIT enters and which ends with the session."""
