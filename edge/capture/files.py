"""Sound into FLAC files, a file for each stretch without a hole."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import soundfile

    from edge.capture.sound import Block

SUBTYPE = "PCM_24"


class StretchFiles:
    """Writes `000.flac`, `001.flac`, ... into a folder that is there; use it as a context manager.

    Raises:
        OSError, soundfile.LibsndfileError: from `write`: the disk takes nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[Path] = []
        self.duration_s = 0.0
        self._file: soundfile.SoundFile | None = None

    def __enter__(self) -> StretchFiles:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def write(self, block: Block) -> None:
        """Append a block, or begin another file with it."""
        import soundfile  # noqa: PLC0415  (not needed by a node that only listens)

        if block.cut or self._file is None or self._file.samplerate != block.rate_hz:
            self.__exit__()
            path = self.folder / f"{len(self.files):03d}.flac"
            self._file = soundfile.SoundFile(
                path, "w", samplerate=block.rate_hz, channels=1, format="FLAC", subtype=SUBTYPE
            )
            self.files.append(path)
        self._file.write(block.samples.clip(-1.0, 1.0))
        self.duration_s += block.duration_s
