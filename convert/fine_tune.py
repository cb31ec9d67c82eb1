"""The second stage of `earpatch pretrain`: the student learns on as int8 will round it.

Its teachers go on teaching, and beside their lessons it learns to answer with rounding what it
answers without: the squared difference of the two, `ROUNDING_WEIGHT` times. Rounding is noise that
a network passes on more or less of, and how much is learnt like anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from convert.int8_ready import make_ready
from convert.int8_student import Int8Student
from convert.make_builtin import builtin_windows
from convert.prefetch import BATCH, Prefetch
from convert.pretrain_record import STEPS_A_POINT, FineTuning
from convert.quantise import equalise
from edge.progress import bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from convert.lessons import Lessons
    from convert.network import Network

    FloatArray = NDArray[np.float32]

PEAK_RATE, FINAL_SHARE = 5e-4, 0.02
ROUNDING_WEIGHT = 150.0
RANGE_BATCHES = 8  # of lessons, from which the ranges of the layers are taken


def fine_tune(network: Network, lessons: Lessons, tuning: FineTuning, seed: int) -> Network:
    """Learn on for `tuning.windows` windows, and note the errors there.

    Args:
        network: the float student.
        lessons: on from where the first stage stopped.
        tuning: what is asked for; gets the errors.
        seed: of the bases in which the layers will answer.

    Returns:
        The student with weights on the int8 grid.
    """
    batches = lessons.batches(BATCH)
    heard = np.concatenate([next(batches)[0][..., 0] for _ in range(RANGE_BATCHES)])
    ready = make_ready(network, heard, seed)
    # Taps are bounded, and the input's range is taken, on what the built-in is quantised with.
    normal, disturbed = builtin_windows()
    student = Int8Student(
        ready.network,
        equalise(ready.network, normal, disturbed),
        (float(min(normal.min(), disturbed.min())), float(max(normal.max(), disturbed.max()))),
    )
    _learn(_Trainer(student, ready.bases, tuning.windows // BATCH), lessons, tuning)
    return student.network()


def _learn(trainer: _Trainer, lessons: Lessons, tuning: FineTuning) -> None:
    recent: list[tuple[float, float]] = []
    steps = tuning.windows // BATCH
    with Prefetch(lessons) as prefetch, bar("Fine-tuning", steps * BATCH, "windows") as progress:
        for step in range(1, steps + 1):
            recent.append(trainer.step(*prefetch.get()))
            progress.update(BATCH)
            if len(recent) == STEPS_A_POINT or step == steps:
                error, rounding = np.mean(recent, axis=0)
                tuning.losses.append(round(float(error), 5))
                tuning.rounding.append(round(float(rounding), 6))
                recent.clear()
                progress.set_postfix_str(f"error {error:.4f}, rounding {rounding:.5f}")


class _Trainer:
    """Adam with a cosine decay."""

    def __init__(
        self, student: Int8Student, bases: tuple[FloatArray, FloatArray], steps: int
    ) -> None:
        self._student, self._bases = student, [tf.constant(basis) for basis in bases]
        schedule = keras.optimizers.schedules.CosineDecay(PEAK_RATE, steps, alpha=FINAL_SHARE)
        self._optimizer = keras.optimizers.Adam(schedule)
        self._optimizer.build(student.variables)
        self._step = tf.function(self._update)

    def step(self, windows: Any, fine: Any, coarse: Any) -> tuple[float, float]:
        """One batch; returns its error, and the part of the answers that rounding changed."""
        error, rounding = self._step(windows, fine, coarse)
        return float(error), float(rounding)

    def _update(self, windows: Any, fine: Any, coarse: Any) -> tuple[Any, Any]:
        wanted = [answer @ basis for answer, basis in zip((fine, coarse), self._bases, strict=True)]
        with tf.GradientTape() as tape:
            rounded = self._student.answers(windows, rounded=True)
            exact = self._student.answers(windows, rounded=False)
            error, rounding = _difference(rounded, wanted), _difference(rounded, exact)
            total = error + ROUNDING_WEIGHT * rounding
        variables = self._student.variables
        gradients = tape.gradient(total, variables)
        self._optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return error, rounding


def _difference(said: list[Any], wanted: list[Any]) -> Any:
    """Mean squared difference, the mean over both taps; a channel has a variance of about 1."""
    parts = [tf.reduce_mean(tf.square(a - b)) for a, b in zip(said, wanted, strict=True)]
    return tf.add_n(parts) / len(parts)
