"""Where a calibration gets its backbone: the one that ships with earpatch, or a bundle's own."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import msgspec

from edge.backbone import Backbone, BackboneInfo
from edge.bundle import open_bundle
from edge.frontend import FrontEnd

if TYPE_CHECKING:
    from pathlib import Path

    from edge.runtime import KernelChoice, RuntimeName

BUILTIN_MODEL, BUILTIN_CARD = "backbone.tflite", "backbone.json"


class BackboneCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What comes beside a backbone's flatbuffer."""

    info: BackboneInfo
    front_end: FrontEnd
    reference_level_dbfs: float


@dataclass(frozen=True)
class BackboneSource:
    """A backbone, and the level at which it wants to hear normal sound."""

    model: bytes
    backbone: Backbone
    front_end: FrontEnd  # without a site's gain
    reference_level_dbfs: float


def backbone_source(
    model: bytes,
    card: BackboneCard,
    *,
    runtime: RuntimeName = "auto",
    kernels: KernelChoice = "auto",
) -> BackboneSource:
    """A backbone that was just built, or that ships with earpatch."""
    backbone = Backbone(model, card.info, runtime=runtime, kernels=kernels)
    return BackboneSource(model, backbone, card.front_end, card.reference_level_dbfs)


def builtin_backbone(
    *, runtime: RuntimeName = "auto", kernels: KernelChoice = "auto"
) -> BackboneSource:
    """The backbone that ships with earpatch."""
    folder = resources.files("edge") / "builtin"
    card = msgspec.json.decode((folder / BUILTIN_CARD).read_bytes(), type=BackboneCard)
    model = (folder / BUILTIN_MODEL).read_bytes()
    return backbone_source(model, card, runtime=runtime, kernels=kernels)


def source_of_bundle(
    path: Path, *, runtime: RuntimeName = "auto", kernels: KernelChoice | None = None
) -> BackboneSource:
    """The backbone of an existing bundle, with its own kernels unless told.

    Raises:
        BundleError: the bundle is damaged.
    """
    bundle = open_bundle(path, runtime=runtime, kernels=kernels)
    front_end = msgspec.structs.replace(bundle.manifest.front_end, gain_db=0.0)
    return BackboneSource(
        bundle.model, bundle.backbone, front_end, bundle.manifest.reference_level_dbfs
    )
