"""The states of an IMAP connection, and the sets of them that `session.COMMANDS` names (RFC 9051 §3)."""

from enum import StrEnum


class State(StrEnum):
    """The states of RFC 9051 §3, in its words."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"


ANY = frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED})
"""Commands of RFC 9051 §6.1. No command is allowed in the LOGOUT state."""
NOT_AUTHENTICATED = frozenset({State.NOT_AUTHENTICATED})
AUTHENTICATED = frozenset({State.AUTHENTICATED, State.SELECTED})
SELECTED = frozenset({State.SELECTED})
