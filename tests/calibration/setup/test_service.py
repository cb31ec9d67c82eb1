"""The commands that setup gives are those that it shows."""

import sys

import pytest

from calibration.setup.service import here

OURS = [sys.executable, "-m", "convert.main"]


@pytest.mark.parametrize(
    ("shown", "run"),
    [
        (["earpatch", "calibrate", "b"], [*OURS, "calibrate", "b"]),
        (
            ["runuser", "-u", "earpatch", "--", "earpatch", "calibrate", "earpatch"],
            ["runuser", "-u", "earpatch", "--", *OURS, "calibrate", "earpatch"],
        ),
        (["systemctl", "restart", "earpatch.service"],) * 2,
        (["systemctl", "stop", "earpatch"],) * 2,
    ],
)
def test_earpatch_is_this_very_program_and_the_user_of_that_name_stays(
    shown: list[str], run: list[str]
) -> None:
    assert here(shown) == run
