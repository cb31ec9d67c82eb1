"""What the sections of a configuration file have in common."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]+\Z", max_length=64)]
PathText = Annotated[str, Meta(pattern=r"^[^\x00]+\Z", max_length=4_096)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Unknown keys are errors in every section."""
