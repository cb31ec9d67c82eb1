"""The interpreter, really constructed and run: importing one proves nothing (H04)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.doctor.check import Check
from edge.doctor.child import probe
from edge.doctor.remedies import remedy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.doctor.check import Visit
    from edge.doctor.child import Probed

WITHIN_S = 60.0
ARMV6 = "not tried: on ARMv6 it would be killed by SIGILL"


def checks(visit: Visit) -> Iterator[Check]:
    """One for each runtime that the configuration asks for."""
    if not visit.has_interpreter:
        yield Check("interpreter", "failed", ARMV6, "use a Raspberry Pi Zero 2, 3 or newer")
        return
    wanted = ["auto"]
    if visit.settings is not None:
        wanted = [each.bundle.runtime for each in visit.settings.all_inputs()]
    for runtime in dict.fromkeys(wanted):
        yield interpreter_check(probe("interpreter", WITHIN_S, runtime=runtime))


def interpreter_check(probed: Probed) -> Check:
    """What the child found, in words."""
    if probed.at is not None:
        text = f"died at '{probed.at}': {probed.death}"
        text += f" ({probed.last_words})" if probed.last_words else ""
        return Check("interpreter", "failed", text, remedy(probed.last_words, probed.signal))
    for step, told in probed.found.items():
        if "error" in told:
            text = f"{step}: {told['error']}"
            return Check("interpreter", "failed", text, remedy(told["error"]))
    built, ran = probed.found["construct"], probed.found["window"]
    text = f"{built['runtime']} {built['version']} with numpy {built['numpy']}: a window in "
    text += f"{ran['ms']:.1f} ms"
    if not ran["same"]:
        todo = "this computer calculates wrongly: check its memory, power and temperature"
        return Check("interpreter", "failed", f"{text}, not the same each time", todo)
    return Check("interpreter", "ok", text)
