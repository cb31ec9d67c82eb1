"""The evaluation's child process: `python -m convert.evaluation_worker FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from convert.child import serve
from convert.evaluation_jobs import JOB_FILE, AutoencoderJob, Job, YamNetJob

if TYPE_CHECKING:
    from convert.child import Tell


def _do(folder: Path, tell: Tell) -> None:
    job: Job = msgspec.json.decode((folder / JOB_FILE).read_bytes(), type=Job)
    if isinstance(job, AutoencoderJob):
        from convert.evaluation_training import train  # noqa: PLC0415

        train(job, folder, tell)
    elif isinstance(job, YamNetJob):
        from convert.evaluation_hearing import hear  # noqa: PLC0415

        hear(job, folder, tell)
    else:
        from convert.evaluation_student import embed  # noqa: PLC0415

        embed(job, folder, tell)


if __name__ == "__main__":
    sys.exit(serve(Path(sys.argv[1]), _do))
