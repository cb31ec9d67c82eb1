"""What a node does when it is told to, beside what concerns alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edge.clips.snapshot import chunks
from edge.errors import SnapshotError
from edge.remote import Calibrate
from edge.teaching import Teaching

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.capture.sound import Block
    from edge.clips.keeper import ClipKeeper
    from edge.health import SelfReport
    from edge.inputs import Input
    from edge.remote import Answer, Command, Remote


class Errands:
    """Rebirth, snapshot, calibrate. Used from the node's loop; nothing here waits."""

    def __init__(
        self, remote: Remote, inputs: Sequence[Input], clips: ClipKeeper, report: SelfReport
    ) -> None:
        self._remote, self._clips, self._report = remote, clips, report
        self._inputs = {each.name: each for each in inputs}
        self._teaching = Teaching(remote)
        remote.add("rebirth", self._rebirth)
        remote.add("snapshot", self._snapshot)
        remote.add("calibrate", self._calibrate)

    def hear(self, each: Input, block: Block) -> None:
        """An input's next sound."""
        self._teaching.hear(each, block)

    def work(self) -> None:
        """See how it goes."""
        self._teaching.work()

    def close(self) -> None:
        """The node ends."""
        self._teaching.close()

    def _named(self, command: Command) -> Input:
        return self._inputs[command.input or next(iter(self._inputs))]

    def _rebirth(self, command: Command) -> Answer:
        """Say everything that is retained again."""
        self._report.tell()
        return self._remote.answer(command, "rebirth", "done", "health and state were told again")

    def _snapshot(self, command: Command) -> Answer:
        """Send the last clip and its picture, in pieces."""
        answer, path = self._remote.answer, self._clips.latest(self._named(command).name)
        if path is None:
            return answer(command, "snapshot", "refused", "no clip since the start; see [clips]")
        try:
            parts = chunks(path)
        except SnapshotError as error:
            return answer(command, "snapshot", "failed", str(error))
        for number, part in enumerate(parts, 1):
            text, data = f"{part.name}, part {number} of {len(parts)}", msgspec.to_builtins(part)
            if not self._remote.tell(answer(command, "snapshot", "progress", text, data=data)):
                text = f"the broker does not take it so fast; {number - 1} of {len(parts)} parts"
                return answer(command, "snapshot", "failed", f"{text} were sent")
        return answer(command, "snapshot", "done", f"{len(parts)} parts were sent")

    def _calibrate(self, command: Command) -> Answer:
        """Begin to learn what an input hears."""
        assert isinstance(command, Calibrate)  # noqa: S101  (`FORMS` says so)
        return self._teaching.begin(self._named(command), command)
