"""All checks in their order: each group in a thread with a deadline, none can stop the others."""

from __future__ import annotations

import importlib
import queue
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from edge.doctor.check import Check, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge.doctor.check import Visit

Results = queue.SimpleQueue[Check | None]


class Group(NamedTuple):
    """A module with a function `checks(visit)`, and how long all of them may take."""

    module: str
    name: str
    within_s: float
    compiled: bool = True  # whether it loads more than the standard library


GROUPS = (
    Group("edge.doctor.computer", "computer", 10, compiled=False),
    Group("edge.doctor.heat", "temperature", 15, compiled=False),
    Group("edge.doctor.packages", "packages", 90, compiled=False),
    Group("edge.doctor.clock", "clock", 10),
    Group("edge.doctor.configuration", "configuration", 15),
    Group("edge.doctor.node", "node", 15),
    Group("edge.doctor.storage", "disk", 15),
    Group("edge.doctor.permissions", "permissions", 15),
    Group("edge.doctor.outbox", "outbox", 60),
    Group("edge.doctor.interpreter", "interpreter", 120),
    Group("edge.doctor.bundles", "bundle", 300),
    Group("edge.doctor.microphones", "microphone", 120),
    Group("edge.doctor.broker", "broker", 120),
)


def examine(visit: Visit, groups: Sequence[Group] = GROUPS) -> Iterator[Check]:
    """What each group finds, as it comes."""
    for group in groups:
        if group.compiled and not visit.loadable:
            yield Check(group.name, "skipped", "its packages can't be loaded, see above")
            continue
        yield from _within(group, visit)


def _within(group: Group, visit: Visit) -> Iterator[Check]:
    results: Results = queue.SimpleQueue()
    deadline_s = time.monotonic() + group.within_s
    # A thread that hangs in the kernel can't be ended; it doesn't keep the process from ending.
    threading.Thread(target=_collect, args=(group, visit, results), daemon=True).start()
    while True:
        try:
            check = results.get(timeout=max(0.0, deadline_s - time.monotonic()))
        except queue.Empty:
            late = f"no answer within {group.within_s:g} s"
            todo = "something hangs there; look into the kernel's log (dmesg)"
            yield Check(group.name, "failed", late, todo)
            return
        if check is None:
            return
        yield check


def _collect(group: Group, visit: Visit, results: Results) -> None:
    try:
        for check in importlib.import_module(group.module).checks(visit):
            results.put(check)
    except ImportError as error:
        todo = "install earpatch anew"
        results.put(Check(group.name, "failed", f"can't be loaded: {first_line(error)}", todo))
    except PermissionError as error:
        what = f"{error.filename}: you may not look there"
        results.put(Check(group.name, "warning", what, "sudo earpatch doctor"))
    except Exception as error:  # noqa: BLE001  (a mistake in one check must not hide the others)
        what = f"the check itself failed: {type(error).__name__}: {first_line(error)}"
        results.put(Check(group.name, "failed", what, "tell those who make earpatch"))
    finally:
        results.put(None)
