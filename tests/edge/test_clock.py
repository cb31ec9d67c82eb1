"""What time it is, and whether that can be trusted."""

from datetime import datetime, timezone

from edge.clock import CHECK_EVERY_S, Clock


class FakeTime:
    """Two clocks to be set by hand."""

    def __init__(self, utc_s: float = 1_000_000.0, monotonic_s: float = 50.0) -> None:
        self.utc_s, self.monotonic_s, self.synced, self.asked = utc_s, monotonic_s, True, 0

    def pass_s(self, seconds: float) -> None:
        """Both go on."""
        self.utc_s += seconds
        self.monotonic_s += seconds

    def ask(self) -> bool:
        """Stands in for the kernel."""
        self.asked += 1
        return self.synced

    def clock(self, floor_s: float = 0.0) -> Clock:
        """A clock on these."""
        return Clock(
            utc_s=lambda: self.utc_s,
            monotonic_s=lambda: self.monotonic_s,
            synced=self.ask,
            floor_s=floor_s,
        )


def test_an_earlier_moment_is_dated_by_the_monotonic_clock() -> None:
    """I04: after the clock was set, moments from before are dated by what has passed since."""
    time = FakeTime()
    clock = time.clock()
    time.pass_s(10.0)
    time.utc_s += 1_209_600.0  # set two weeks forward
    expected = datetime.fromtimestamp(time.utc_s - 10.0, timezone.utc)
    assert clock.utc(50.0) == expected


def test_the_kernel_is_asked_now_and_then() -> None:
    time = FakeTime()
    clock = time.clock()
    assert [clock.synced for _ in range(100)] == [True] * 100
    assert time.asked == 1
    time.synced = False
    time.pass_s(CHECK_EVERY_S + 1)
    assert not clock.synced


def test_a_clock_before_a_moment_that_has_passed_is_not_right_whatever_the_kernel_says() -> None:
    """F31: the last known good time is a lower bound."""
    time = FakeTime(utc_s=1_000.0)
    assert not time.clock(floor_s=2_000.0).synced
    assert time.clock(floor_s=500.0).synced


def test_the_real_clock_answers_at_once() -> None:
    assert Clock().synced in {True, False}
    assert abs((Clock().utc() - datetime.now(timezone.utc)).total_seconds()) < 5
