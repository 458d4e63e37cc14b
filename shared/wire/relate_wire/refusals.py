"""How many refused commands a connection may have, and what each costs: delays first, then the connection's end. Pure.

As Postfix counts them (smtpd_soft_error_limit, smtpd_hard_error_limit, smtpd_junk_command_limit).
"""

from dataclasses import dataclass

from relate_wire.reply import Outcome, Reply


@dataclass(frozen=True, slots=True)
class RefusalLimits:
    """The limits of one protocol."""

    hard: int = 50
    """The refusal after which the connection is ended: a client that makes no sense, or guesses."""
    soft: int | None = None
    """The refusal from which on each is answered late; None for no delays."""
    delay_seconds: float = 1.0
    junk: int = 100
    """Commands of `junk_verbs` without progress; each further one counts as a refusal."""
    junk_verbs: frozenset[str] = frozenset()
    reset_by_progress_only: bool = False
    """Whether refusals are forgotten only after progress (a message accepted, a login), or after any command that is
    not refused: where only probing gains by refused commands, or where they hurt nobody but the client.
    """


class Refusals:
    """The refusals of one connection."""

    __slots__ = ("_count", "_junk", "_limits")

    def __init__(self, limits: RefusalLimits) -> None:
        self._limits = limits
        self._count = 0
        self._junk = 0

    def count(self, verb: str, reply: Reply) -> bool:
        """Take note of a reply; whether it counts as a refusal."""
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
        """How long the reply to the refusal at hand waits."""
        soft = self._limits.soft
        return self._limits.delay_seconds if soft is not None and self._count >= soft else 0.0

    @property
    def too_many(self) -> bool:
        """Whether the connection is to be ended."""
        return self._count >= self._limits.hard
