"""From the command's options to systems and sets; what can't work is said before any work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibration.backbones import builtin_backbone, source_of_bundle
from convert.build import MN04_FILE, MOBILENET_FILE, YAMNET_FILE, build_backbone
from convert.evaluation_autoencoder import DcaseAutoencoder
from convert.evaluation_baselines import LogMelMahalanobis, LogMelNeighbour
from convert.evaluation_mixtures import mixture_sets
from convert.evaluation_sets import dcase_sets, folder_set, mimii_sets
from convert.evaluation_simulated import simulated_sets
from convert.evaluation_systems import Earpatch
from convert.evaluation_yamnet import YamNetNeighbour
from edge.errors import EarpatchError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from calibration.backbones import BackboneSource
    from calibration.survey import Survey
    from convert.evaluation_sets import EvaluationSet
    from convert.evaluation_systems import System

TEACHER_FILES = {"mn04": MN04_FILE, "mobilenet_v2": MOBILENET_FILE, "yamnet": YAMNET_FILE}


def choose_systems(arguments: argparse.Namespace) -> list[System]:
    """What is compared: bundles, backbones, and the baselines always.

    Raises:
        EarpatchError: weights are asked for that are not there.
    """
    systems: list[System] = [
        Earpatch(str(path), lambda _, path=path: source_of_bundle(path))  # type: ignore[misc]
        for path in arguments.bundle
    ]
    systems += [_system(name, arguments.weights) for name in _names(arguments)]
    return [*systems, LogMelNeighbour(), LogMelMahalanobis(), DcaseAutoencoder(arguments.seed)]


def _names(arguments: argparse.Namespace) -> list[str]:
    if arguments.backbone:
        return list(dict.fromkeys(arguments.backbone))
    if arguments.weights:
        return ["builtin", "random", *teachers_in(arguments.weights)]
    return [] if arguments.bundle else ["builtin"]


def teachers_in(weights: Path) -> list[str]:
    """The teachers whose files lie in a folder.

    Raises:
        EarpatchError: none does.
    """
    if not weights.is_dir():
        raise EarpatchError(f"{weights}: no such folder")
    found = [name for name, file in TEACHER_FILES.items() if (weights / file).is_file()]
    if not found:
        raise EarpatchError(f"{weights}: holds none of {', '.join(TEACHER_FILES.values())}")
    return found


def _system(name: str, weights: Path | None) -> System:
    given = None
    if name in TEACHER_FILES and weights is not None:
        given = weights / TEACHER_FILES[name]
        if not given.is_file():
            raise EarpatchError(f"{given}: no such file, and --backbone {name} needs it")
    if name == "yamnet":
        if given is None:
            raise EarpatchError(
                f"--backbone yamnet needs --weights, a folder with {TEACHER_FILES[name]}"
            )
        return YamNetNeighbour(given)
    return Earpatch(name, _maker(name, given))


def _maker(name: str, given: Path | None) -> Callable[[Survey], BackboneSource]:
    if name == "builtin":
        return lambda _: builtin_backbone()
    return lambda heard: build_backbone(name, given, heard)


def check_sets(arguments: argparse.Namespace) -> None:
    """Refuse options that belong together and stand alone, or that leave nothing to do."""
    if (arguments.normal is None) != (arguments.anomalous is None):
        raise EarpatchError("--normal and --anomalous go together")
    if (arguments.root is None) != (arguments.layout is None):
        raise EarpatchError("--root and --layout go together")
    sources = (arguments.mixtures, arguments.normal, arguments.root, arguments.simulated_clips)
    if not any(sources):
        raise EarpatchError(
            "nothing to evaluate on: give --mixtures, --normal with --anomalous, or --root"
        )


def gather_sets(arguments: argparse.Namespace, scratch: Path) -> list[EvaluationSet]:
    """Every set that the options name; what has to be made is written to `scratch`."""
    sets: list[EvaluationSet] = []
    if arguments.mixtures:
        sets += gather_mixtures(arguments, scratch)
    if arguments.normal and arguments.anomalous:
        sets.append(folder_set(arguments.normal, arguments.anomalous))
    if arguments.root:
        sets += (mimii_sets if arguments.layout == "mimii" else dcase_sets)(arguments.root)
    if arguments.simulated_clips:
        sets += simulated_sets(scratch, arguments.simulated_clips)
    return sets


def gather_mixtures(arguments: argparse.Namespace, scratch: Path) -> list[EvaluationSet]:
    """The mixtures alone.

    Raises:
        EarpatchError: the folder holds nothing to mix.
    """
    mixed = mixture_sets(arguments.mixtures, scratch, arguments.seed, arguments.mixed_clips)
    if not mixed:
        raise EarpatchError(
            f"{arguments.mixtures}: no esc10/ and slider_id00/ with what is kept for reporting"
        )
    return mixed
