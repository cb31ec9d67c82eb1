"""Slow evidence: the power is cut while a bundle is calibrated or installed: `make power-cuts`.

A whole emulated Debian with ext4, the node running in it, and a disk with a volatile write cache
(`tests.slow.disk`): at a cut the emulator is killed, and of what no flush confirmed any part may be
lost. The same disk goes through all cuts, so that damage would add up.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.slow.emulator import check_disk, why_no_emulator
from tests.slow.plant import KINDS, SEED

if TYPE_CHECKING:
    from tests.slow.disk import Cut
    from tests.slow.plant import Plant

pytestmark = [
    pytest.mark.power,
    pytest.mark.skipif(why_no_emulator() is not None, reason=why_no_emulator() or ""),
]

CUTS = int(os.environ.get("EARPATCH_POWER_CUTS", "50"))
ANY_TIME = 0.2  # of the cuts; the others come while something is written
ASK_EVERY = 10


def test_whatever_is_being_done_a_power_cut_leaves_the_old_version_or_the_new_one(
    plant: Plant,
) -> None:
    """I12, I23: and a node that comes up by itself, with every event that it had kept.

    What a command has told to be done has to last, too.
    """
    dice = random.Random(SEED)
    found, ready_s = plant.come_up()
    kept, _ = found["events"]
    print(f"\nseed {SEED}, {plant.computer.accelerator}; {kept} events kept before; "
          f"ready {ready_s:.0f} s after switching on")  # fmt: skip
    assert kept > 0
    usual = {}
    for kind in KINDS:
        usual[kind] = plant.rehearse(kind, found["current"])
        print(f"{kind}: {usual[kind].requests} requests to the disk while it writes, "
              f"{usual[kind].took_s:.0f} s in all", flush=True)  # fmt: skip
        found = plant.look()
    plant.ask_earpatch(found["current"])
    phases: Counter[str] = Counter()
    cuts: list[Cut] = []
    slowest_s = 0.0
    for number in range(1, CUTS + 1):
        kind, before = KINDS[number % 2], found
        if dice.random() < ANY_TIME:
            after_s = dice.uniform(0, usual[kind].took_s)
            course = plant.cut_after(kind, before["current"], after_s)
        else:
            request = dice.randrange(usual[kind].requests + 2)
            course = plant.cut_at_request(kind, before["current"], request)
        cuts.append(plant.disk.lose(dice))
        found, ready_s = plant.come_up()
        is_new = found["current"] == course.name
        print(f"{number:3} {kind:9} {course.moment:11} {course.phase[2:]:28} "
              f"{cuts[-1].lost:3} of {cuts[-1].waiting:3} unflushed writes lost; "
              f"{'new' if is_new else 'old'}, ready after {ready_s:.0f} s, "
              f"{found['events'][0]} events", flush=True)  # fmt: skip
        assert is_new or (found["current"] == before["current"] and not course.ended)
        assert found["events"] >= before["events"]
        if number % ASK_EVERY == 0:
            plant.ask_earpatch(found["current"])
        phases[f"{course.phase}: {'new' if is_new else 'old'} version"] += 1
        slowest_s = max(slowest_s, ready_s)
    plant.ask_earpatch(found["current"])
    plant.computer.shut_down()
    file_system = check_disk(plant.disk.medium)
    print(f"{CUTS} of {CUTS} survived; {len(found['versions'])} versions, all whole; "
          f"{found['events'][0]} events; ready after {slowest_s:.0f} s at most")  # fmt: skip
    for phase, count in sorted(phases.items()):
        print(f"  {count:3} cuts, {phase[2:]}")
    waiting, lost, torn = (sum(numbers) for numbers in zip(*cuts, strict=True))
    print(f"  of {waiting} unflushed writes {lost} lost, {torn} torn")
    print(f"  {file_system.stdout.strip().splitlines()[-1]}")
    assert file_system.returncode == 0, file_system.stdout
