"""Who the node runs as, and what that account may do with a file."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.doctor.check import read_text

if TYPE_CHECKING:
    from pathlib import Path

NODE_USER = "earpatch"
READ, WRITE, ENTER = 4, 2, 1
PASSWD_FIELDS, GROUP_FIELDS = 4, 4


@dataclass(frozen=True)
class Account:
    """A user and the groups that count."""

    name: str
    uid: int
    gids: frozenset[int]
    is_me: bool  # whether it is who runs this

    def may(self, status: os.stat_result, bits: int) -> bool:
        """Whether a file's mode allows it; access lists are not looked at."""
        if self.uid == 0:
            return bits != ENTER or stat.S_ISDIR(status.st_mode) or bool(status.st_mode & 0o111)
        if status.st_uid == self.uid:
            granted = status.st_mode >> 6
        elif status.st_gid in self.gids:
            granted = status.st_mode >> 3
        else:
            granted = status.st_mode
        return granted & bits == bits

    def obstacle(self, path: Path, bits: int) -> Path | None:
        """The file or the folder above it that is in the way; None if there is none."""
        for folder in reversed(path.parents):
            if not self.may(folder.stat(), ENTER):
                return folder
        return None if self.may(path.stat(), bits) else path


def node_account(root: Path) -> Account:
    """The user `earpatch` where there is one, else who runs this."""
    for line in (read_text(root / "etc/passwd") or "").splitlines():
        fields = line.split(":")
        if len(fields) >= PASSWD_FIELDS and fields[0] == NODE_USER:
            uid, gid = int(fields[2]), int(fields[3])
            gids = frozenset({gid, *groups_of(NODE_USER, root).values()})
            return Account(NODE_USER, uid, gids, is_me=uid == os.geteuid())
    gids = frozenset({os.getegid(), *os.getgroups()})
    return Account(os.environ.get("USER", "you"), os.geteuid(), gids, is_me=True)


def groups_of(user: str, root: Path) -> dict[str, int]:
    """The groups that list a user, by name."""
    found = {}
    for line in (read_text(root / "etc/group") or "").splitlines():
        fields = line.split(":")
        if len(fields) >= GROUP_FIELDS and user in fields[3].split(","):
            found[fields[0]] = int(fields[2])
    return found
