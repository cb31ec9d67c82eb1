"""Each input's bundle: verified, compared with its golden windows, and how fast it scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge.capture.settings import RecordingSource
from edge.doctor.check import Check
from edge.doctor.child import probe
from edge.doctor.interpreter import ARMV6
from edge.doctor.remedies import remedy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.doctor.check import Visit
    from edge.doctor.child import Probed
    from edge.settings import InputSettings

WITHIN_S = 120.0
DEFAULT_RATE_HZ = 48_000
BUSY, TOO_SLOW = 0.5, 1.0  # of a core, for all inputs together
AGAIN = "run 'earpatch calibrate' on this node, or copy the bundle again"


def checks(visit: Visit) -> Iterator[Check]:
    """All of them."""
    if visit.settings is None:
        yield Check("bundle", "skipped", "no configuration")
        return
    if not visit.has_interpreter:
        yield Check("bundle", "skipped", ARMV6)
        return
    inputs = visit.settings.all_inputs()
    for each in inputs:
        probed = probe(
            "bundle", WITHIN_S, path=each.bundle.path, runtime=each.bundle.runtime,
            rate_hz=_rate_hz(each), timed=not visit.running,
        )  # fmt: skip
        name = f"bundle {each.name}" if len(inputs) > 1 else "bundle"
        yield from bundle_checks(name, probed)
        if "factor" in probed.found.get("speed", {}):
            yield speed_check(probed.found["speed"]["factor"], len(inputs))
    if visit.snapshot is not None:
        factors = [each.real_time_factor for each in visit.snapshot.health.inputs]
        yield speed_check(sum(factors), 1, "the running node's own figure: ")


def _rate_hz(each: InputSettings) -> int:
    source = each.source
    return DEFAULT_RATE_HZ if isinstance(source, RecordingSource) else source.rate_hz


def bundle_checks(name: str, probed: Probed) -> Iterator[Check]:
    """What the child found, in words."""
    verified = probed.found.get("verify", {})
    if "error" in verified:
        yield Check(name, "failed", verified["error"], AGAIN)
        return
    if "id" in verified:
        yield _verified(name, verified)
        if (golden := probed.found.get("golden")) is not None:
            yield golden_check(golden)
    speed = probed.found.get("speed", {})
    if "error" in speed:
        yield Check("speed", "failed", speed["error"], AGAIN)
    if probed.at is not None:
        text = f"died at '{probed.at}': {probed.death}"
        yield Check(name, "failed", text, remedy(probed.last_words, probed.signal))


def _verified(name: str, told: dict[str, Any]) -> Check:
    text = f"{told['id']} of {told['created'][:10]}, every byte as calibration wrote it"
    if told["made_with"] == told["runs_on"]:
        return Check(name, "ok", f"{text}; {told['runs_on']}")
    text += f"; thresholds made with {told['made_with']}, here runs {told['runs_on']}: "
    return Check(name, "ok", f"{text}the golden windows decide whether they hold")


def golden_check(told: dict[str, Any]) -> Check:
    """Whether this computer rounds as the one that calibrated."""
    if "error" in told:
        return Check("golden windows", "failed", told["error"], AGAIN)
    line = told["line"].removeprefix("golden windows: ")
    if told["valid"]:
        return Check("golden windows", "ok", line)
    return Check("golden windows", "failed", line, "run 'earpatch calibrate' on this node")


def speed_check(factor: float, inputs: int, whose: str = "") -> Check:
    """Scoring time over sound: from 1 on, sound is lost."""
    total = factor * inputs
    text = f"{whose}scoring takes {total:.1%} of the time that the sound lasts"
    text += f" ({inputs} inputs)" if inputs > 1 else ""
    todo = "see temperature and power; end other programs, or use fewer inputs"
    if total >= TOO_SLOW:
        return Check("speed", "failed", f"{text}: too slow", todo)
    return Check("speed", "warning" if total >= BUSY else "ok", text, todo * (total >= BUSY))
