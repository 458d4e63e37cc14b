"""Error limits of a connection: from a soft limit on refusals are delayed, at a hard limit the session ends. Pure.

The limits are Postfix's: smtpd_soft_error_limit, smtpd_hard_error_limit, smtpd_junk_command_limit.
"""

from dataclasses import dataclass

from relate_wire.reply import Outcome, Reply


@dataclass(frozen=True, slots=True)
class RefusalLimits:
    """The error limits of one protocol, in refused commands."""

    hard: int = 50
    """The session ends at this number of refusals."""
    soft: int | None = None
    """Replies are delayed from this number of refusals on; None for no delays."""
    delay_seconds: float = 1.0
    junk: int = 100
    """Commands of `junk_verbs` without progress; each further one counts as a refusal."""
    junk_verbs: frozenset[str] = frozenset()
    reset_by_progress_only: bool = False
    """True if only progress (a message accepted, a login) resets the count, because refused commands probe the server;
    False if any successful command does, because refused commands harm only the client.
    """


class Refusals:
    """Counts the refused commands of one connection."""

    __slots__ = ("_count", "_junk", "_limits")

    def __init__(self, limits: RefusalLimits) -> None:
        self._limits = limits
        self._count = 0
        self._junk = 0

    def count(self, verb: str, reply: Reply) -> bool:
        """Record a reply; returns whether it counted as a refusal."""
        before, limits = self._count, self._limits
        if reply.outcome is Outcome.REFUSED:
            self._count += not reply.uncounted
        elif reply.progress or not limits.reset_by_progress_only:
            self._count = self._junk = 0
        elif verb in limits.junk_verbs:
            self._junk += 1
            self._count += self._junk > limits.junk
        return self._count > before

    @property
    def delay_seconds(self) -> float:
        """The delay after the current refusal."""
        soft = self._limits.soft
        return self._limits.delay_seconds if soft is not None and self._count >= soft else 0.0

    @property
    def too_many(self) -> bool:
        """Whether the hard limit is reached."""
        return self._count >= self._limits.hard
