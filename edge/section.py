"""What the sections of a configuration file have in common."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]+\Z", max_length=64)]
# Control characters, and what else ends a line: in a name it would do so in every message about it.
CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
PathText = Annotated[str, Meta(pattern=rf"^[^{CONTROLS}]+\Z", max_length=4_096)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Unknown keys are errors in every section."""
