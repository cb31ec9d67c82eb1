"""Figures: medians with quartiles, paired round by round, and the tables that show them."""

import time

import pytest

from convert.bench.figures import FEWEST_ROUNDS, Figure, figure, paired_s, ratios
from convert.bench.table import lines_of


def test_a_figure_is_the_median_and_the_quartiles() -> None:
    found = figure("path", "run", "memory", "MB", [5.0, 1.0, 2.0, 4.0, 3.0])
    assert (found.low, found.median, found.high, found.repeats) == (2.0, 3.0, 4.0, 5)


def test_a_figure_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="memory was not measured"):
        figure("path", "run", "memory", "MB", [])


def test_contenders_take_turns_so_that_each_round_finds_the_same_machine() -> None:
    calls: list[str] = []
    times = paired_s({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 0.0)
    assert [len(each) for each in times.values()] == [FEWEST_ROUNDS, FEWEST_ROUNDS]
    assert calls == ["a", "a", "b", "b"] * FEWEST_ROUNDS  # each once to warm up


def test_what_takes_long_is_not_warmed_up_again() -> None:
    calls: list[None] = []

    def slow() -> None:
        calls.append(None)
        time.sleep(0.03)

    paired_s({"slow": slow}, 0.0)
    assert len(calls) == FEWEST_ROUNDS + 1


def test_ratios_are_taken_round_by_round() -> None:
    assert ratios([2.0, 30.0], [1.0, 10.0]) == [2.0, 3.0]


def test_a_table_has_a_row_a_setting_a_column_a_name_and_a_dash_for_what_was_not_measured() -> None:
    figures = [
        Figure(section="kernel", setting="small", name="ours", unit="us",
               median=2.0, low=1.0, high=3.0, repeats=9),
        Figure(section="kernel", setting="large", name="faiss", unit="times ours",
               median=4.0, low=4.0, high=4.0, repeats=9),
    ]  # fmt: skip
    title, names, units, small, large, _ = lines_of(figures)
    assert title == "kernel: median (quartiles)"
    assert names.split() == ["ours", "faiss"]
    assert units.split() == ["us", "times", "ours"]
    assert small.split() == ["small", "2", "(1-3)", "-"]
    assert large.split() == ["large", "-", "4"]
