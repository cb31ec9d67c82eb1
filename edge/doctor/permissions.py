"""What the node's user may do: read the configuration, write the state folder, record sound."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from edge.capture.settings import MicrophoneSource
from edge.doctor.accounts import ENTER, READ, WRITE, groups_of, node_account
from edge.doctor.check import Check, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.doctor.accounts import Account
    from edge.doctor.check import Visit

UNITS = ("etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
OTHERS = 0o007
_SUPPLEMENTARY = re.compile(r"^SupplementaryGroups=.*\baudio\b", re.MULTILINE)


def checks(visit: Visit) -> Iterator[Check]:
    """All of them."""
    account = node_account(visit.root)
    if visit.settings is None or visit.config is None:
        yield Check("state folder", "skipped", "no configuration")
    else:
        yield config_check(account, visit.config)
        yield state_check(account, Path(visit.settings.node.state_dir))
        sources = [each.source for each in visit.settings.all_inputs()]
        if not any(isinstance(source, MicrophoneSource) for source in sources):
            return
    yield sound_check(account, visit.root)


def config_check(account: Account, path: Path) -> Check:
    """Whether the node may read its configuration."""
    if (obstacle := account.obstacle(path.absolute(), READ)) is not None:
        todo = f"sudo chgrp {account.name} {obstacle} and sudo chmod g+rX {obstacle}"
        return Check("permissions", "failed", f"{account.name} may not read {obstacle}", todo)
    return Check("permissions", "ok", f"{account.name} may read {path}")


def state_check(account: Account, folder: Path) -> Check:
    """Whether the node may keep events, and nobody else may read them."""
    folder = folder.absolute()
    if not folder.exists():
        return _missing(account, folder)
    if not folder.is_dir():
        todo = "name a folder in [node] state_dir"
        return Check("state folder", "failed", f"{folder} is not a folder", todo)
    if (obstacle := account.obstacle(folder, READ | WRITE | ENTER)) is not None:
        todo = f"sudo chown -R {account.name} {folder}"
        text = f"{account.name} may not write {folder}"
        text += f" ({obstacle} is in the way)" if obstacle != folder else ""
        return Check("state folder", "failed", text, todo)
    foreign = [
        each.name
        for each in sorted(folder.iterdir())
        if each.is_file() and not account.may(each.stat(), READ | WRITE)
    ]
    if foreign:
        text = f"{account.name} may not write {', '.join(foreign)} in {folder}"
        return Check("state folder", "failed", text, f"sudo chown -R {account.name} {folder}")
    if folder.stat().st_mode & OTHERS:
        text = f"{folder} can be looked into by everybody on this computer"
        return Check("state folder", "warning", text, f"sudo chmod 750 {folder}")
    return Check("state folder", "ok", f"{account.name} may write {folder}")


def _missing(account: Account, folder: Path) -> Check:
    above = next(each for each in folder.parents if each.exists())
    if account.obstacle(above, WRITE | ENTER) is None:
        return Check("state folder", "ok", f"{folder} will be made at the first start")
    todo = f"sudo install -d -m 750 -o {account.name} {folder}"
    text = f"{folder} is missing, and {account.name} may not make it"
    return Check("state folder", "failed", text, todo)


def sound_check(account: Account, root: Path) -> Check:
    """Whether the node may open sound cards, which belong to the group audio."""
    devices = sorted((root / "dev/snd").glob("pcmC*D*c"))
    closed = [each for each in devices if not account.may(each.stat(), READ | WRITE)]
    if not devices:
        return Check("sound access", "skipped", "no device to record from in /dev/snd")
    if not closed:
        return Check("sound access", "ok", f"{account.name} may open {len(devices)} devices")
    if _unit_grants(root) and not account.is_me:
        return Check("sound access", "ok", "the service is in the group audio by its unit")
    listed = "audio" in groups_of(account.name, root)
    todo = "log in again: the membership is new" if listed else _join(account)
    text = f"{account.name} may not open {closed[0]}: not in the group audio"
    return Check("sound access", "failed", text, todo)


def _join(account: Account) -> str:
    return f"sudo adduser {account.name} audio, then log in again or restart the service"


def _unit_grants(root: Path) -> bool:
    """Whether the service's unit gives it the group."""
    texts = (read_text(root / folder / "earpatch.service") or "" for folder in UNITS)
    return any(_SUPPLEMENTARY.search(text) for text in texts)
