"""`earpatch pretrain`: distil the student from its teachers; seeded, resumable, with a loss curve.

Feature distillation as in STFPM (Wang et al., BMVC 2021) and EfficientAD (Batzner et al., WACV
2024), from several teachers at once. Every window is drawn anew, so none is seen twice.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

import keras
import msgspec
import numpy as np
import tensorflow as tf

from convert.lessons import Lessons
from convert.pretrain_sounds import Sounds
from convert.student import COARSE_CHANNELS, FINE_CHANNELS, make_student, save_weights
from convert.teachers import Teachers
from edge.errors import EarpatchError
from edge.progress import bar

if TYPE_CHECKING:
    from pathlib import Path

BATCH = 64
PEAK_RATE, FINAL_RATE, WARM_UP_STEPS = 4e-3, 2e-5, 100
STEPS_A_POINT = 50  # of the loss curve, and between checkpoints
QUEUE_BATCHES = 4
LESSON_TIMEOUT_S = 600.0
WEIGHTS_FILE, STATE_FILE, CURVE_FILE, RECORD_FILE = (
    "student.npz",
    "checkpoint.npz",
    "loss.png",
    "pretrain.json",
)


class Record(msgspec.Struct, kw_only=True):
    """What was done, kept beside the weights."""

    seed: int
    windows: int
    steps_done: int = 0
    teachers: dict[str, str]  # file -> sha256
    recordings: list[str]
    variance_kept: list[float]  # by the projections of the finer and the coarser grid
    losses: list[float] = []  # one for every `STEPS_A_POINT` steps; 1 is knowing nothing


def pretrain(folder: Path, data: Path, weights: Path, *, windows: int, seed: int) -> Record:
    """Train the student on so many windows, going on where an earlier run stopped.

    Raises:
        EarpatchError: teachers or sound are missing, or the folder holds another run.
    """
    if windows < BATCH:
        raise EarpatchError(f"--windows {windows}: at least one batch of {BATCH} is needed")
    folder.mkdir(parents=True, exist_ok=True)
    teachers = Teachers(weights)
    record = _earlier(folder, seed, windows)
    done = record.steps_done if record else 0
    # The same projections for every part of a run; other windows for every part.
    lessons = Lessons(Sounds(data, seed), teachers, (FINE_CHANNELS, COARSE_CHANNELS))
    lessons.skip(done)
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
    steps = windows // BATCH
    model = make_student(seed)
    trainer = _Trainer(model, steps)
    if done:
        trainer.load(folder / STATE_FILE)
    _train(trainer, lessons, record, steps, folder)
    save_weights(model, folder / WEIGHTS_FILE)
    return record


def _train(trainer: _Trainer, lessons: Lessons, record: Record, steps: int, folder: Path) -> None:
    recent: list[float] = []
    with _Prefetch(lessons) as prefetch, bar("Pretraining", steps * BATCH, "windows") as progress:
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
                _write_whole(folder / RECORD_FILE, _encoded(record))
                draw_curve(record, folder / CURVE_FILE)


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


class _Prefetch:
    """Prepares batches in a thread while the student learns; use it as a context manager."""

    def __init__(self, lessons: Lessons) -> None:
        self._lessons = lessons
        self._queue: queue.Queue[Any] = queue.Queue(QUEUE_BATCHES)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lessons", daemon=True)

    def __enter__(self) -> _Prefetch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while not self._queue.empty():
            self._queue.get_nowait()
        self._thread.join(timeout=LESSON_TIMEOUT_S)

    def get(self) -> Any:
        """The next batch."""
        item = self._queue.get(timeout=LESSON_TIMEOUT_S)
        if isinstance(item, Exception):
            raise item
        return item

    def _run(self) -> None:
        try:
            for batch in self._lessons.batches(BATCH):
                self._queue.put(batch)
                if self._stop.is_set():
                    return
        except Exception as error:  # noqa: BLE001  (handed to the thread that waits)
            self._queue.put(error)


def _earlier(folder: Path, seed: int, windows: int) -> Record | None:
    path = folder / RECORD_FILE
    if not path.is_file():
        return None
    try:
        record = msgspec.json.decode(path.read_bytes(), type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EarpatchError(f"{path}: damaged ({error}); choose another folder") from None
    if (record.seed, record.windows) != (seed, windows):
        raise EarpatchError(
            f"{folder}: holds a run with --seed {record.seed} --windows {record.windows}; "
            "go on with these, or choose another folder"
        )
    if record.steps_done and not (folder / STATE_FILE).is_file():
        raise EarpatchError(f"{folder}: {STATE_FILE} is missing; choose another folder")
    return record


def _write_whole(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".part")
    partial.write_bytes(data)
    partial.replace(path)


def _encoded(record: Record) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record), indent=1)


def draw_curve(record: Record, path: Path) -> None:
    """The loss curve as a picture."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    seen = (np.arange(len(record.losses)) + 1) * STEPS_A_POINT * BATCH
    axes.plot(np.minimum(seen, record.windows), record.losses)
    axes.set(xlabel="windows seen", ylabel="error (1: knowing nothing)", yscale="log")
    axes.grid(visible=True, which="both", alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)
