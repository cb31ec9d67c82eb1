"""Waiting between connections: longer each time, spread out, never hot."""

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.delivery.backoff import Backoff, BackoffLimits

LIMITS = BackoffLimits()


def longest(_low: float, high: float) -> float:
    return high


def test_waits_double_up_to_a_minute() -> None:
    backoff = Backoff(LIMITS, longest)
    assert [backoff.after(0.0) for _ in range(8)] == [2, 4, 8, 16, 32, 60, 60, 60]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e6), max_size=60), st.booleans())
def test_no_wait_is_shorter_than_a_second_or_longer_than_a_minute(
    lasted_s: list[float], considerate: bool
) -> None:
    backoff = Backoff(LIMITS)
    for connection_s in lasted_s:
        wait_s = backoff.after(connection_s, considerate=considerate)
        assert (30 if considerate else 1) <= wait_s <= 60


def test_a_connection_that_is_cut_at_once_each_time_does_not_make_waits_short() -> None:
    """F29: being accepted isn't enough."""
    backoff = Backoff(LIMITS, longest)
    assert [backoff.after(2.0) for _ in range(4)] == [2, 4, 8, 16]


def test_a_connection_that_lasted_makes_the_next_wait_short_again() -> None:
    backoff = Backoff(LIMITS, longest)
    for _ in range(5):
        backoff.after(0.0)
    assert backoff.after(10.0) == 2


def test_two_nodes_do_not_come_back_together() -> None:
    one, other = Backoff(LIMITS), Backoff(LIMITS)
    assert [one.after(0) for _ in range(5)] != [other.after(0) for _ in range(5)]
