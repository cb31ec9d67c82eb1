"""Whether highlighted cells are what raised an alarm, and whether a promise is kept."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from calibration.backbones import builtin_backbone
from calibration.learn import learn
from calibration.simulator import Fault, Machine
from calibration.survey import survey
from convert import promise
from convert.faithfulness import Faithfulness, measure
from edge.bundle import open_bundle

RATE_HZ = 32_000
MACHINE = Machine(77, RATE_HZ)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Faithfulness | None, ...]:
    """Of a clip with a fault, and of one without."""
    folder = tmp_path_factory.mktemp("faithfulness")
    (folder / "normal").mkdir()
    soundfile.write(folder / "normal" / "n.wav", MACHINE.normal(60.0, 0), RATE_HZ, "FLOAT")
    learn(folder / "bundle", builtin_backbone(), survey(folder / "normal"))
    sound, _ = MACHINE.with_faults(8.0, 1, [Fault("belt squeal", 3.0, 1.5, 15.0)])
    soundfile.write(folder / "squeal.wav", sound, RATE_HZ, "FLOAT")
    soundfile.write(folder / "plain.wav", MACHINE.normal(8.0, 2), RATE_HZ, "FLOAT")
    bundle = open_bundle(folder / "bundle")
    return tuple(measure(bundle, [folder / f"{n}.wav"], 0.5) for n in ("squeal", "plain"))


def test_replacing_what_was_highlighted_takes_most_of_the_alarm_away(
    found: tuple[Faithfulness | None, ...],
) -> None:
    squeal = found[0]
    assert squeal is not None
    assert squeal.highlighted_removes > 0.8
    assert squeal.random_removes < 0.3


def test_what_was_highlighted_raises_the_alarm_alone(
    found: tuple[Faithfulness | None, ...],
) -> None:
    squeal = found[0]
    assert squeal is not None
    assert squeal.alone_raise_alarm == 1.0


def test_a_clip_without_an_alarm_has_nothing_to_explain(
    found: tuple[Faithfulness | None, ...],
) -> None:
    assert found[1] is None


def test_pieces_of_endless_sound_follow_on_each_other_without_a_click() -> None:
    sounds = promise.takes(MACHINE, 0)
    first, second = next(sounds), next(sounds)
    steps = np.abs(np.diff(np.concatenate([first, second])))
    seam = steps[len(first) - 10 : len(first) + 10].max()
    assert seam <= steps.max()
    assert len(first) == len(second) == promise.TAKE_S * RATE_HZ
    assert not np.array_equal(first, second)


def test_false_alarms_are_counted_against_what_was_promised() -> None:
    (kept,) = promise.measure(1, 1 / 60, 2, 100.0)
    assert (kept.calibrated_s, kept.listened_s) == (120.0, 60.0)
    assert kept.achieved_per_day == pytest.approx(kept.events * 1_440)
    assert "node-days: promised 0.1 alarms" in promise.table([kept])
