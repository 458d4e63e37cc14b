"""Error limits: SMTP counts refusals as Postfix does, the other protocols count consecutive ones."""

import pytest

from relate_smtp.config import REFUSAL_LIMITS
from relate_wire.refusals import RefusalLimits, Refusals
from relate_wire.reply import Outcome, Reply

OK = Reply(b"", Outcome.OK)
REFUSED = Reply(b"", Outcome.REFUSED)
UNCOUNTED = Reply(b"", Outcome.REFUSED, uncounted=True)
FAILED = Reply(b"", Outcome.FAILED)
PROGRESS = Reply(b"", Outcome.OK, progress=True)


def count(refusals: Refusals, *replies: tuple[str, Reply]) -> list[bool]:
    return [refusals.count(verb, reply) for verb, reply in replies]


def test_smtp_delays_from_the_tenth_refusal_and_ends_at_the_twentieth() -> None:
    refusals = Refusals(REFUSAL_LIMITS)
    results = []
    for _ in range(20):
        assert refusals.count("RCPT", REFUSED)
        results.append((refusals.delay_seconds, refusals.too_many))
    assert results == [(0.0, False)] * 9 + [(1.0, False)] * 10 + [(1.0, True)]


@pytest.mark.parametrize("verb", ["NOOP", "RSET", "VRFY", "EHLO", "MAIL", "RCPT"])
def test_in_smtp_a_successful_command_does_not_reset_the_count(verb: str) -> None:
    refusals = Refusals(REFUSAL_LIMITS)
    for _ in range(20):
        count(refusals, ("RCPT", REFUSED), (verb, OK))
    assert refusals.too_many


def test_in_smtp_progress_resets_the_count() -> None:
    refusals = Refusals(REFUSAL_LIMITS)
    count(refusals, *[("RCPT", REFUSED)] * 19, ("DATA", PROGRESS), *[("RCPT", REFUSED)] * 9)
    assert (refusals.delay_seconds, refusals.too_many) == (0.0, False)


def test_in_smtp_a_hundred_junk_commands_are_free() -> None:
    refusals = Refusals(REFUSAL_LIMITS)
    assert count(refusals, *[("NOOP", OK)] * 50, *[("RSET", OK)] * 50) == [False] * 100
    assert count(refusals, *[("NOOP", OK)] * 20) == [True] * 20
    assert refusals.too_many


def test_uncounted_refusals_and_failures_do_not_count() -> None:
    refusals = Refusals(REFUSAL_LIMITS)
    assert count(refusals, *[("RCPT", UNCOUNTED), ("DATA", FAILED)] * 50) == [False] * 100
    assert not refusals.too_many


def test_by_default_consecutive_refusals_count_without_delay() -> None:
    refusals = Refusals(RefusalLimits(hard=3))
    count(refusals, ("X", REFUSED), ("X", REFUSED), ("NOOP", OK), ("X", REFUSED), ("X", REFUSED))
    assert (refusals.delay_seconds, refusals.too_many) == (0.0, False)
    assert refusals.count("X", REFUSED)
    assert refusals.too_many
