"""Which runners are taken for dead."""

from relate_relay.queue.liveness import DEAD_SECONDS, Liveness


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_runner_without_beats_is_dead_after_a_while() -> None:
    clock = Clock()
    liveness = Liveness(clock)
    for second in range(0, int(DEAD_SECONDS) + 1, 5):
        assert liveness.dead({"one": second, "two": 7}) == []
        clock.now += 5
    assert liveness.dead({"one": 99, "two": 7}) == ["two"]


def test_a_runner_that_beats_again_is_alive() -> None:
    clock = Clock()
    liveness = Liveness(clock)
    for beats in (1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2):
        assert liveness.dead({"one": beats}) == []
        clock.now += 5


def test_while_no_runner_could_look_none_has_died() -> None:
    clock = Clock()
    liveness = Liveness(clock)
    liveness.dead({"one": 1})
    clock.now += 10 * DEAD_SECONDS  # the store was away, or this process stood still
    assert liveness.dead({"one": 1}) == []
    clock.now += 5
    assert liveness.dead({"one": 2}) == []


def test_a_runner_that_is_gone_is_forgotten() -> None:
    clock = Clock()
    liveness = Liveness(clock)
    liveness.dead({"one": 1})
    liveness.dead({})
    clock.now += DEAD_SECONDS / 2
    liveness.dead({"one": 1})
    clock.now += DEAD_SECONDS / 2
    assert liveness.dead({"one": 1}) == []
