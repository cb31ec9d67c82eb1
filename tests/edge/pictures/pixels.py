"""What a picture shows, as an array."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pixels(png: bytes) -> NDArray[np.uint8]:
    """Pixels of a PNG, [height, width, 3]."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
