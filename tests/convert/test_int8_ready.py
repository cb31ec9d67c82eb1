"""Making a network fit for int8: what it says stays, and int8 holds it better."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

CHILD_S = 300.0
NUMBERS = """
import json
import numpy as np
import tensorflow as tf
from convert import student
from convert.graph import absorbed, activate, convolve, tapped_layers
from convert.int8_ready import bounded, make_ready, ranged, rotated
from convert.int8_student import Int8Student, on_grid
from convert.quantise import equalise, quantise
from convert.student_file import named_layers

random, told = np.random.default_rng(5), {}
model = student.make_student(3)
for layer in model.layers:
    if layer.name.endswith("_norm"):
        gamma, beta, mean, variance = (w.shape for w in layer.get_weights())
        layer.set_weights([
            random.lognormal(0, 0.7, gamma), random.normal(0, 0.3, beta),
            random.normal(0, 0.1, mean), random.uniform(0.1, 0.5, variance),
        ])
network = student.to_network(model)
windows = random.normal(0, 1, (48, 96, 128)).astype(np.float32)
windows *= random.uniform(0.1, 1, (48, 1, 1)).astype(np.float32)

def said(network):
    return [tap.numpy() for tap in tapped_layers(network, tf.constant(windows[..., None]))]

def apart(ours, theirs):
    pairs = zip(ours, theirs, strict=True)
    return [float(((a - b) ** 2).mean() / b.var()) for a, b in pairs]

plain = said(network)
turned = rotated(network, 1)
wanted = [tap @ basis for tap, basis in zip(plain, turned.bases, strict=True)]
told["turned"] = apart(said(turned.network), wanted)
told["bases"] = [float(np.abs(b @ b.T - np.eye(len(b))).max()) for b in turned.bases]
widest = lambda taps: [float((t.std((0, 1, 2)).max() / t.std((0, 1, 2)).mean())) for t in taps]
told["widest channel"] = [widest(plain), widest(said(turned.network))]
told["other seed"] = float(np.abs(rotated(network, 2).bases[0] - turned.bases[0]).max())

scaled = ranged(network, windows)
told["ranged"] = apart(said(scaled), plain)
stem = lambda n: convolve(tf.constant(windows[..., None]), n.stem).numpy().max(axis=(0, 1, 2))
told["stem"] = [stem(network).tolist(), stem(scaled).tolist()]

small = bounded(network, windows)
told["bounded"] = apart(said(small), plain)
told["activations"] = [block.project.activation for block in small.blocks]
x = convolve(tf.constant(windows[..., None]), small.stem)
told["outputs"] = []
for block in small.blocks:
    y = x if block.expand is None else convolve(x, block.expand)
    y = convolve(convolve(y, block.depthwise), block.project)
    x = activate(x + y, block.project.activation) if block.shortcut else y
    told["outputs"].append(float(np.abs(x).max()))

def learner_of(network):
    equalisations = equalise(network, windows)
    return Int8Student(network, equalisations, (float(windows.min()), float(windows.max())))

def answers(learner, rounded):
    batch = tf.constant(windows[..., None])
    return [tap.numpy() for tap in learner.answers(batch, rounded=rounded)]

ready = make_ready(network, windows, 1).network
learners = [learner_of(bounded(network, windows)), learner_of(ready)]
told["rounding"] = [apart(answers(one, True), answers(one, False)) for one in learners]

learnt, equalisations = learners[1].network(), equalise(ready, windows)
held = [
    tap / e.scale + e.mean
    for tap, e in zip(said(absorbed(learnt, equalisations)), equalisations, strict=True)
]
told["learnt"] = apart(held, answers(learners[1], False))
told["grid stays"] = max(
    float(np.abs(on_grid(layer.kernel, depthwise=layer.depthwise) - layer.kernel).max())
    / float(np.abs(layer.kernel).max())
    for _, layer in named_layers(learnt)
)

flatbuffer = quantise(learnt, equalisations, lambda: iter(windows), (96, 128))
interpreter = tf.lite.Interpreter(model_content=flatbuffer)
tensors = {t["index"]: t for t in interpreter.get_tensor_details()}
operators = interpreter._get_ops_details()
told["operators"] = [op["op_name"] for op in operators]
told["output"] = tensors[int(operators[-1]["outputs"][0])]["quantization"][0]
told["written"] = []
for op, (_, layer) in zip(
    [op for op in operators if "CONV" in op["op_name"]], named_layers(learnt), strict=True
):
    written = interpreter.get_tensor(int(op["inputs"][1])).astype(int)
    kernel = layer.kernel.transpose(3, 0, 1, 2)
    axes = (0, 1, 2) if layer.depthwise else (1, 2, 3)
    step = np.abs(kernel).max(axis=axes, keepdims=True) / 127
    told["written"].append(int(np.abs(written - np.round(kernel / step)).max()))
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def numbers() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", NUMBERS],
        capture_output=True, text=True, timeout=CHILD_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3_000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_a_turned_network_says_the_same_in_another_basis(numbers: dict[str, Any]) -> None:
    assert max(numbers["turned"]) < 1e-6
    assert max(numbers["bases"]) < 1e-5


def test_turning_leaves_no_channel_much_wider_than_the_others(numbers: dict[str, Any]) -> None:
    plain, turned = numbers["widest channel"]
    for before, after in zip(plain, turned, strict=True):
        assert after < before
        assert after < 2


def test_another_seed_turns_otherwise(numbers: dict[str, Any]) -> None:
    assert numbers["other seed"] > 0.1


def test_a_ranged_network_says_the_same(numbers: dict[str, Any]) -> None:
    assert max(numbers["ranged"]) < 1e-3


def test_every_channel_that_answers_reaches_the_ceiling(numbers: dict[str, Any]) -> None:
    before, after = map(np.array, numbers["stem"])
    assert before.min() < 5
    assert after[before > 0.1].min() > 5.9  # a gain of 100 is the most
    assert (after >= before - 1e-5).all()


def test_linear_outputs_but_the_taps_are_bounded(numbers: dict[str, Any]) -> None:
    linear = ["relu_n1_to_1", "relu_n1_to_1", "none"]
    assert numbers["activations"] == [*linear, *3 * ["relu_n1_to_1"], "none"]
    for index, output in enumerate(numbers["outputs"]):
        assert output <= 1 or index in (2, 6)
        assert output > 0.3


def test_bounding_changes_little(numbers: dict[str, Any]) -> None:
    assert max(numbers["bounded"]) < 0.02


def test_rounding_changes_less_of_a_network_made_ready(numbers: dict[str, Any]) -> None:
    plain, ready = numbers["rounding"]
    for before, after in zip(plain, ready, strict=True):
        assert 0 < after < before


def test_what_was_learnt_says_what_the_learner_said(numbers: dict[str, Any]) -> None:
    assert max(numbers["learnt"]) < 1e-6


def test_a_weight_on_the_grid_stays_where_it_is(numbers: dict[str, Any]) -> None:
    assert numbers["grid stays"] < 1e-5


def test_the_converter_writes_the_learnt_weights_as_they_are(numbers: dict[str, Any]) -> None:
    assert len(numbers["written"]) == 21
    assert max(numbers["written"]) == 0


def test_bounding_adds_no_operator(numbers: dict[str, Any]) -> None:
    """Each bound is part of the operator before it: int8 is as fast as it was."""
    kinds = {name: numbers["operators"].count(name) for name in numbers["operators"]}
    assert kinds == {
        "CONV_2D": 14,
        "DEPTHWISE_CONV_2D": 7,
        "ADD": 3,
        "RESIZE_BILINEAR": 1,
        "CONCATENATION": 1,
    }


def test_the_taps_share_the_scale_of_the_output(numbers: dict[str, Any]) -> None:
    assert numbers["output"] == pytest.approx(2 / 255, rel=1e-3)
