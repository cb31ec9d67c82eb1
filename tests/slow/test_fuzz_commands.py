"""Slow evidence: a million random and spoilt commands, here 700,000 of the JSON contract.

Each is answered, none is taken for another, none raises; the alarms are what a simple model says,
and memory does not grow.
"""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.slow.commanded import (
    EACH,
    INPUTS,
    MAX_GROWTH_MIB,
    MAX_SHELVE_S,
    NAMES,
    STEPS_S,
    WARM,
    Rig,
    resident_mib,
)
from tests.slow.damage import damaged, tell

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.fuzz, pytest.mark.usefixtures("nobody_reads")]

ODD: list[Any] = [
    None, True, False, 0, -1, 3, 1e308, float("nan"), float("inf"), 2**64, "", "x", "x" * 65,
    "x" * 501, "\ud800", "\x00", "\x1b[2J", "E1", "main", [], {}, [[]], {"id": "x"}, "é" * 64,
]  # fmt: skip
BOMBS = (b"", b"[" * 4_000, b'{"id":' * 600, b"\xff\xfe", b"\x00" * 5_000, b" " * 9_000, b"null",
         b'{"id": "x", "id": "y"}', b'"\\ud800"', b"9" * 4_000, b'{"id": "\\ud800"}')  # fmt: skip


def good(rig: Rig, random: Random) -> tuple[str, dict[str, Any]]:
    """A command as an operator's client sends it."""
    name = random.choice(NAMES)
    fields: dict[str, Any] = {"id": f"c-{random.randrange(100)}"}
    if len(rig.names) > 1 or random.random() < 0.3:
        fields["input"] = random.choice(rig.names)
    if random.random() < 0.3:
        fields |= {"by": "Keller", "comment": "seen"}
    if name == "acknowledge" and random.random() < 0.7:
        fields["event_id"] = rig.event_id(random.randrange(8))
    elif name == "shelve":
        times: list[Any] = [0.25, 1, 60.0, 3_600, MAX_SHELVE_S, MAX_SHELVE_S + 1, None]
        fields |= random.choice(({"once": True}, {"for_s": random.choice(times)}, {}))
    elif name == "calibrate":
        fields |= {"seconds": random.choice((9, 10, 600)), "add": random.random() < 0.5}
    return name, fields


def spoilt(name: str, fields: dict[str, Any], random: Random, bits: Any) -> tuple[str, bytes]:
    """The same with a mistake, or something else altogether."""
    kind = random.randrange(6)
    if kind == 0:
        return name, random.choice(BOMBS)
    if kind == 1:
        return name, random.randbytes(random.randrange(80))
    if kind == 2:
        return random.choice(("", "x" * 300, "dance", "SHELVE", "result", "é", name + " ")), b"{}"
    if kind == 3:
        fields[random.choice((*fields, "for_s", "once", "x", "", "seconds"))] = random.choice(ODD)
    raw = json.dumps(fields).encode()
    return name, damaged(raw, bits) if kind > 3 else raw


def one(rig: Rig, random: Random, bits: Any) -> str:
    """Something happens: a command, mostly, or an event that is to be commanded."""
    step_s = random.choice(STEPS_S)
    if random.random() < 0.15:
        rig.event(random.choice(rig.names), step_s, random.choice((0.0, 0.5, 3.0)))
    name, fields = good(rig, random)
    payload = json.dumps(fields).encode()
    if random.random() < 0.5:
        name, payload = spoilt(name, fields, random, bits)
    return rig.command(step_s, name, payload, retained=random.random() < 0.02) or "no answer"


@pytest.mark.parametrize("kind", ["one input", "two inputs"])
def test_whatever_is_commanded_the_alarms_are_what_the_model_says(
    memory_folder: Path, kind: str
) -> None:
    """F11."""
    rig = Rig(memory_folder, INPUTS[kind], latching=kind == "two inputs")
    random, bits = Random(kind), np.random.default_rng(1)
    outcomes, warm_mib = Counter[str](), 0.0
    for number in range(EACH[kind]):
        outcomes[one(rig, random, bits)] += 1
        if number == EACH[kind] // WARM:
            warm_mib = resident_mib()
    rig.errands.close()
    growth_mib = resident_mib() - warm_mib
    tell(f"{kind}, memory {growth_mib:+.1f} MiB", outcomes, "commands")
    assert growth_mib < MAX_GROWTH_MIB
    assert min(outcomes[each] for each in ("done", "refused", "no answer")) > EACH[kind] / 100


def test_these_are_a_million() -> None:
    assert sum(EACH.values()) >= 1_000_000
