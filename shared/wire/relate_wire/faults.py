"""The port of fault injection: what the driver does in place of a command, or before it, in tests of clients.

A service without it has none, which is so in production: only the developers' mode injects faults. Pure.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from relate_wire.ports import CommandLike
from relate_wire.reply import Reply

__all__ = ["Disconnect", "Fault", "FaultInjection", "SessionFaults"]


class Disconnect(StrEnum):
    """When the connection is aborted, relative to the command."""

    BEFORE = "before"
    """The command is not executed."""
    AFTER = "after"
    """The command is executed, and the client gets no reply: it cannot know whether it was."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens with one command: a delay in seconds, then a reply in its place, the end of the connection, or the
    command itself.
    """

    delay_seconds: float = 0.0
    reply: Reply | None = None
    disconnect: Disconnect | None = None

    @property
    def kind(self) -> str:
        """The value of the span's attribute: `delay`, `reply` or `disconnect`."""
        if self.disconnect is not None:
            return "disconnect"
        return "delay" if self.reply is None else "reply"


class SessionFaults(Protocol):
    """The faults of one session."""

    def choose(self, command: CommandLike) -> Fault | None:
        """The fault for the session's next command; None for none. Called once for each command, in order."""


class FaultInjection(Protocol):
    """The faults of one service."""

    def session(self) -> SessionFaults:
        """The faults of a new session."""
