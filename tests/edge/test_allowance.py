"""A token bucket gives no more than its rate and what was saved up."""

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.allowance import Allowance


@settings(deadline=None)
@given(
    st.floats(0.1, 1_000),
    st.floats(0, 100),
    st.lists(st.floats(0, 5, allow_subnormal=False), max_size=100),
)
def test_no_more_is_taken_than_the_rate_and_a_small_burst_allow(
    rate_per_s: float, most: float, waits_s: list[float]
) -> None:
    now_s, taken = 0.0, 0
    allowance = Allowance(rate_per_s, most, lambda: now_s)
    for wait_s in waits_s:
        now_s += wait_s
        while allowance.available():
            allowance.take()
            taken += 1
    assert taken <= now_s * rate_per_s + max(1, most) + 1
