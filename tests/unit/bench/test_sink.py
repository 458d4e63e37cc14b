"""The counters of the sink, which are read in pieces of any size."""

from tests.bench.sink import last_count


def test_the_last_whole_counters_count() -> None:
    assert last_count(b"sess=1 quit=0 mesg=7\rsess=1 quit=0 mesg=8\rsess=1 quit=0 mesg=", 0) == (
        8,
        b"sess=1 quit=0 mesg=",
    )


def test_a_number_that_is_cut_is_read_with_the_next_piece() -> None:
    count, rest = last_count(b"sess=1 quit=0 mesg=1", 0)
    assert count == 0
    assert last_count(rest + b"2\r", count) == (12, b"")
