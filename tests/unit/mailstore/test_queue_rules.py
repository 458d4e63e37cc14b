"""How a recipient of the queue changes its state."""

import pytest

from relate_mailstore.queue_rules import LEASED, Schedule, drop, end_lease, hold, release, retry, settle
from relate_mailstore.queue_types import FINAL_STATES, AttemptResult, Lease, QueueState, RecipientId

NOW, LATER = 100.0, 200.0
QUEUED = Schedule(QueueState.QUEUED, LATER)
HELD = Schedule(QueueState.HELD, None)
CANCELLED = Schedule(QueueState.CANCELLED, None)
DELIVERED = Schedule(QueueState.DELIVERED, None)
WILL_HOLD = LEASED._replace(requested=QueueState.HELD)
WILL_CANCEL = LEASED._replace(requested=QueueState.CANCELLED)


@pytest.mark.parametrize(
    ("was", "held", "released", "retried", "dropped"),
    [
        pytest.param(QUEUED, HELD, QUEUED, QUEUED._replace(due=NOW), CANCELLED, id="queued"),
        pytest.param(LEASED, WILL_HOLD, LEASED, LEASED, WILL_CANCEL, id="leased"),
        pytest.param(WILL_HOLD, WILL_HOLD, LEASED, WILL_HOLD, WILL_CANCEL, id="leased, will be held"),
        pytest.param(WILL_CANCEL, WILL_CANCEL, WILL_CANCEL, WILL_CANCEL, WILL_CANCEL, id="leased, will be cancelled"),
        pytest.param(HELD, HELD, Schedule(QueueState.QUEUED, NOW), HELD, CANCELLED, id="held"),
        pytest.param(CANCELLED, CANCELLED, CANCELLED, CANCELLED, CANCELLED, id="cancelled"),
        pytest.param(DELIVERED, DELIVERED, DELIVERED, DELIVERED, DELIVERED, id="delivered"),
    ],
)
def test_what_operators_change(
    was: Schedule, held: Schedule, released: Schedule, retried: Schedule, dropped: Schedule
) -> None:
    for rule, expected in ((hold, held), (release, released), (retry, retried), (drop, dropped)):
        after = rule(was, NOW)
        assert after == expected
        assert rule(after, NOW) == after  # idempotent


def test_a_recipient_whose_runner_has_ended_is_due_or_in_the_state_that_was_requested() -> None:
    assert end_lease(LEASED, NOW) == Schedule(QueueState.QUEUED, NOW)
    assert end_lease(WILL_HOLD, NOW) == HELD
    assert end_lease(WILL_CANCEL, NOW) == CANCELLED
    assert end_lease(QUEUED, NOW) == QUEUED  # told meanwhile


@pytest.mark.parametrize("was", [LEASED, WILL_HOLD, WILL_CANCEL], ids=["", "will be held", "will be cancelled"])
def test_a_final_result_is_stored_whatever_was_requested(was: Schedule) -> None:
    for state in FINAL_STATES:
        assert settle(was, AttemptResult(Lease(RecipientId(1), 1), state)) == Schedule(state, None)


def test_a_deferred_recipient_becomes_what_was_requested() -> None:
    deferred = AttemptResult(Lease(RecipientId(1), 1), QueueState.QUEUED, next_attempt=LATER)
    assert settle(LEASED, deferred) == QUEUED
    assert settle(WILL_HOLD, deferred) == HELD
    assert settle(WILL_CANCEL, deferred) == CANCELLED
