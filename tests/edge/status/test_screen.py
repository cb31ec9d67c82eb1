"""The view fits the terminal, whatever its size and however many colours it has."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.status.screen import draw, meter
from edge.status.snapshot import InputView, Snapshot
from edge.status.terminal import Colours, Look, coloured_lines, look_of
from edge.status.text import plain_lines
from tests.edge.status.snapshots import snapshot

if TYPE_CHECKING:
    from edge.history import TrialState

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
WIDE = Look(120, 50, "none")


def visible(line: str) -> str:
    return ESCAPE.sub("", line)


def of_inputs(count: int) -> Snapshot:
    told = snapshot()
    replace = msgspec.structs.replace
    return replace(
        told,
        health=replace(told.health, inputs=[told.health.inputs[0]] * count),
        state=replace(told.state, inputs=[told.state.inputs[0]] * count),
        inputs=[told.inputs[0]] * count,
    )


@settings(deadline=None)
@given(
    columns=st.integers(1, 300),
    lines=st.integers(1, 120),
    colours=st.sampled_from(["true", "256", "none"]),
    inputs=st.integers(1, 4),
)
def test_no_line_is_longer_and_no_screen_higher_than_the_terminal(
    columns: int, lines: int, colours: Colours, inputs: int
) -> None:
    drawn = draw(of_inputs(inputs), Look(columns, lines, colours))
    assert len(drawn) <= max(1, lines - 1)
    assert max(len(visible(line)) for line in drawn) <= columns


def test_a_terminal_of_80_by_24_has_room_for_one_input_s_pictures() -> None:
    drawn = draw(of_inputs(1), Look(80, 30, "none"))
    assert any("sound" in line for line in drawn)
    assert any(" map " in line for line in drawn)


def test_what_stands_out_is_seen_without_colours() -> None:
    drawn = draw(snapshot(), WIDE)
    middle = next(i for i, line in enumerate(drawn) if " map " in line)
    rows = [line[10:] for line in drawn[middle - 4 : middle + 4]]
    loud = [row for row in rows if "%" in row or "@" in row]
    assert 2 <= len(loud) <= 3, "four rows of the map are two lines of the screen"


def test_a_node_that_has_heard_nothing_yet_has_no_pictures() -> None:
    view = InputView(name="main", score=None, picture=None)
    drawn = draw(msgspec.structs.replace(of_inputs(1), inputs=[view]), WIDE)
    assert any("no score yet" in line for line in drawn)
    assert not any("kHz" in line for line in drawn)


@pytest.mark.parametrize(
    ("trial", "note", "told"),
    [
        ("none", "", None),
        ("passed", "v2 passed its self-test", None),
        ("on trial", "", "bundle on trial"),
        ("failed", "v2: deaf", "BUNDLE ROLLED BACK: v2: deaf"),
    ],
)
def test_a_bundle_on_trial_and_one_that_was_left_are_seen(
    trial: TrialState, note: str, told: str | None
) -> None:
    given = snapshot()
    replace = msgspec.structs.replace
    inputs = [replace(i, bundle_trial=trial, bundle_note=note) for i in given.state.inputs]
    lines = "\n".join(plain_lines(replace(given, state=replace(given.state, inputs=inputs))))
    assert told in lines if told else "bundle" not in lines.lower()


def test_text_from_outside_can_t_steer_the_terminal() -> None:
    nasty = snapshot(reason="\x1b[2J\x1b]0;gone\x07")
    assert not any("\x1b" in line or "\x07" in line for line in draw(nasty, WIDE))
    assert not any("\x1b" in line for line in plain_lines(nasty))


def test_two_rows_share_a_line_the_higher_one_above() -> None:
    pixels = np.zeros((1, 2, 3), np.uint8)
    pixels[0, 1] = (255, 0, 0)  # the higher frequency
    assert coloured_lines(pixels, "true") == ["\x1b[38;2;255;0;0;48;2;0;0;0m\u2580\x1b[0m"]
    assert coloured_lines(pixels, "256") == ["\x1b[38;5;196;48;5;16m\u2580\x1b[0m"]


@pytest.mark.parametrize(
    ("environment", "encoding", "colours"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "utf-8", "true"),
        ({"TERM": "xterm-256color"}, "utf-8", "256"),
        ({"TERM": "vt100"}, "utf-8", "none"),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, "utf-8", "none"),
        ({}, "utf-8", "none"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "utf-8", "none"),
        ({"TERM": "xterm-256color"}, "latin-1", "none"),
    ],
)
def test_a_terminal_gets_the_colours_that_it_has(
    environment: dict[str, str], encoding: str, colours: Colours
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    assert look_of(stream, environment).colours == colours


@pytest.mark.parametrize(
    ("level_dbfs", "filled"), [(None, 0), (-120.0, 0), (-90.0, 0), (-45.0, 15), (0.0, 30)]
)
def test_the_meter_reaches_from_90_dbfs_below_full_scale_to_full_scale(
    level_dbfs: float | None, filled: int
) -> None:
    assert meter(level_dbfs).count("=") == filled
