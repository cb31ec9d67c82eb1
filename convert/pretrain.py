"""`earpatch pretrain`: distil the student from its teachers; seeded, resumable, with a loss curve.

Feature distillation as in STFPM (Wang et al., BMVC 2021) and EfficientAD (Batzner et al., WACV
2024), from several teachers at once. Every window is drawn anew, so none is seen twice. The second
stage, `convert.fine_tune`, makes the student fit for int8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from convert.download import file_sha256
from convert.fine_tune import fine_tune
from convert.lessons import Lessons
from convert.prefetch import BATCH, Prefetch
from convert.pretrain_record import (
    DISTILLED_FILE,
    STATE_FILE,
    STEPS_A_POINT,
    WEIGHTS_FILE,
    FineTuning,
    Record,
    earlier_run,
    write_record,
)
from convert.pretrain_sounds import Sounds
from convert.student import (
    COARSE_CHANNELS,
    FINE_CHANNELS,
    load_weights,
    make_student,
    save_weights,
    to_network,
)
from convert.student_file import save_network
from convert.teachers import Teachers
from edge.errors import EarpatchError
from edge.progress import bar

if TYPE_CHECKING:
    from pathlib import Path

PEAK_RATE, FINAL_RATE, WARM_UP_STEPS = 4e-3, 2e-5, 100


def pretrain(
    folder: Path, data: Path, weights: Path, *, windows: int, fine_tune_windows: int, seed: int
) -> Record:
    """Distil the student on so many windows, and fine-tune it on others for int8.

    A first stage that was stopped goes on from its last checkpoint; a finished one is not repeated,
    so that the second can be run alone. A second stage that was stopped begins again.

    Args:
        folder: gets the weights, the record and the curve.
        data: recordings, as `Sounds` finds them.
        weights: the teachers'.
        windows: of the first stage.
        fine_tune_windows: of the second stage; 0 leaves it out.
        seed: the same seed draws the same windows.

    Raises:
        EarpatchError: teachers or sound are missing, or the folder holds another run.
    """
    if windows < BATCH:
        raise EarpatchError(f"--windows {windows}: at least one batch of {BATCH} is needed")
    if 0 < fine_tune_windows < BATCH:
        raise EarpatchError(
            f"--fine-tune-windows {fine_tune_windows}: at least one batch of {BATCH} is needed, "
            "or 0 to leave fine-tuning out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    teachers = Teachers(weights)
    record = earlier_run(folder, seed, windows)
    # The same projections for every part of a run; other windows for every part.
    lessons = Lessons(Sounds(data, seed), teachers, (FINE_CHANNELS, COARSE_CHANNELS))
    if record and (record.teachers, record.recordings) != (teachers.digests, lessons.files):
        raise EarpatchError(
            f"{folder}: the run there had other teachers or recordings; choose another folder"
        )
    if record is None:
        record = Record(
            seed=seed,
            windows=windows,
            teachers=teachers.digests,
            recordings=lessons.files,
            variance_kept=[lessons.fine.kept, lessons.coarse.kept],
        )
    _distil(record, lessons, folder)
    _fine_tune(record, lessons, folder, fine_tune_windows)
    return record


def _distil(record: Record, lessons: Lessons, folder: Path) -> None:
    """The first stage, as far as it is not done."""
    if record.steps_done == record.steps and (folder / DISTILLED_FILE).is_file():
        return
    lessons.skip(record.steps_done)
    model = make_student(record.seed)
    trainer = _Trainer(model, record.steps)
    if record.steps_done:
        trainer.load(folder / STATE_FILE)
    _train(trainer, lessons, record, folder)
    save_weights(model, folder / DISTILLED_FILE)


def _fine_tune(record: Record, lessons: Lessons, folder: Path, windows: int) -> None:
    """The second stage, if it is wanted and what is there is not from the same."""
    distilled, target = folder / DISTILLED_FILE, folder / WEIGHTS_FILE
    started_from = file_sha256(distilled)
    network = to_network(load_weights(distilled))
    if windows == 0:
        record.fine_tuning = None
    else:
        done = record.fine_tuning
        if done and (done.windows, done.started_from) == (windows, started_from):
            return
        lessons.skip(record.steps)
        record.fine_tuning = FineTuning(windows=windows, started_from=started_from)
        network = fine_tune(network, lessons, record.fine_tuning, record.seed)
    save_network(network, target)
    write_record(record, folder)


def _train(trainer: _Trainer, lessons: Lessons, record: Record, folder: Path) -> None:
    recent: list[float] = []
    steps = record.steps
    with Prefetch(lessons) as prefetch, bar("Pretraining", steps * BATCH, "windows") as progress:
        progress.update(record.steps_done * BATCH)
        while record.steps_done < steps:
            recent.append(trainer.step(*prefetch.get()))
            record.steps_done += 1
            progress.update(BATCH)
            if len(recent) == STEPS_A_POINT or record.steps_done == steps:
                record.losses.append(round(float(np.mean(recent)), 5))
                recent.clear()
                progress.set_postfix_str(f"error {record.losses[-1]:.4f}")
                trainer.save(folder / STATE_FILE)
                write_record(record, folder)


class _Trainer:
    """Adam with a warm-up and a cosine decay; the mean of both taps' relative errors."""

    def __init__(self, model: Any, steps: int) -> None:
        self._model = model
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, steps - WARM_UP_STEPS), alpha=FINAL_RATE / PEAK_RATE,
            warmup_target=PEAK_RATE, warmup_steps=WARM_UP_STEPS,
        )  # fmt: skip
        self._optimizer = keras.optimizers.Adam(schedule)
        self._optimizer.build(model.trainable_variables)
        self._step = tf.function(self._update)

    def step(self, windows: Any, fine: Any, coarse: Any) -> float:
        """One batch; returns its error."""
        return float(self._step(windows, fine, coarse))

    def save(self, path: Path) -> None:
        """Write model and optimiser state."""
        state = [v.numpy() for v in (*self._model.weights, *self._optimizer.variables)]
        partial = path.with_suffix(".part")
        with partial.open("wb") as file:
            np.savez(file, *state)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Take up the state that `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            state = [arrays[f"arr_{i}"] for i in range(len(arrays.files))]
        for variable, value in zip(
            (*self._model.weights, *self._optimizer.variables), state, strict=True
        ):
            variable.assign(value)

    def _update(self, windows: Any, fine: Any, coarse: Any) -> Any:
        with tf.GradientTape() as tape:
            said_fine, said_coarse = self._model(windows, training=True)
            error = 0.5 * (_relative(said_fine, fine) + _relative(said_coarse, coarse))
        gradients = tape.gradient(error, self._model.trainable_variables)
        self._optimizer.apply_gradients(
            zip(gradients, self._model.trainable_variables, strict=True)
        )
        return error


def _relative(said: Any, wanted: Any) -> Any:
    """Mean squared error; on average a channel of the answers has a variance of 1."""
    return tf.reduce_mean(tf.square(said - wanted))
