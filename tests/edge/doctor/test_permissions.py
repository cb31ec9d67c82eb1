"""What the node's user may do, by the modes of files below a root of the test's own."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.doctor.accounts import READ, WRITE, Account, groups_of, node_account
from edge.doctor.check import Visit
from edge.doctor.permissions import checks, config_check, sound_check, state_check
from tests.edge.doctor.visits import only, put, says, states, visit_to

if TYPE_CHECKING:
    from pathlib import Path

USERS = "root:x:0:0::/root:/bin/sh\nearpatch:x:990:985::/var/lib/earpatch:/usr/sbin/nologin\n"
GROUP = "audio:x:29:pulse,earpatch\nearpatch:x:985:\nvideo:x:44:pi\n"
ME = Account("me", os.geteuid(), frozenset({os.getegid()}), is_me=True)
STRANGER = Account("earpatch", 60_990, frozenset({60_985}), is_me=False)


def system(root: Path, passwd: str = USERS, group: str = GROUP) -> Path:
    put(root, "etc/passwd", passwd)
    put(root, "etc/group", group)
    return root


def as_stat(mode: int, uid: int, gid: int) -> os.stat_result:
    return os.stat_result((mode, 0, 0, 1, uid, gid, 0, 0, 0, 0))


def test_the_node_is_the_user_earpatch_where_there_is_one(tmp_path: Path) -> None:
    account = node_account(system(tmp_path))
    assert (account.name, account.uid, account.gids) == ("earpatch", 990, frozenset({985, 29}))
    assert not account.is_me
    assert groups_of("pi", tmp_path) == {"video": 44}


def test_elsewhere_it_is_who_asks(tmp_path: Path) -> None:
    account = node_account(tmp_path)
    assert (account.uid, account.is_me) == (os.geteuid(), True)


@given(
    mode=st.integers(0, 0o777),
    uid=st.sampled_from([5, 6]),
    gid=st.sampled_from([7, 8]),
    bits=st.integers(1, 7),
)
def test_the_first_class_that_fits_decides_as_in_the_kernel(
    mode: int, uid: int, gid: int, bits: int
) -> None:
    shift = 6 if uid == 5 else 3 if gid == 7 else 0
    allowed = (mode >> shift) & bits == bits
    account = Account("a", 5, frozenset({7}), is_me=False)
    assert account.may(as_stat(stat.S_IFREG | mode, uid, gid), bits) == allowed


def test_root_reads_and_writes_everything_but_enters_no_plain_file() -> None:
    root = Account("root", 0, frozenset({0}), is_me=True)
    assert root.may(as_stat(stat.S_IFREG, 5, 5), READ | WRITE)
    assert not root.may(as_stat(stat.S_IFREG | 0o644, 5, 5), 1)


def test_a_configuration_that_the_node_may_not_read(tmp_path: Path) -> None:
    path = put(tmp_path, "secret.toml", "")
    path.chmod(0o600)
    says(config_check(ME, path), "ok")
    found = config_check(STRANGER, path)
    says(found, "failed", "earpatch may not read", "chgrp")


def test_a_state_folder_from_nothing_to_well_kept(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    says(state_check(ME, folder), "ok", "will be made")
    folder.mkdir(mode=0o755)
    says(state_check(ME, folder), "warning", "everybody", "chmod 750")
    folder.chmod(0o750)
    says(state_check(ME, folder), "ok", "may write")


def test_a_state_folder_that_is_a_file(tmp_path: Path) -> None:
    says(state_check(ME, put(tmp_path, "state", "")), "failed", "not a folder")


def test_a_state_folder_of_somebody_else(tmp_path: Path) -> None:
    """As after a first start as root."""
    outer = tmp_path / "var"
    outer.mkdir(mode=0o755)
    tmp_path.chmod(0o755)
    (outer / "state").mkdir(mode=0o750)
    says(state_check(STRANGER, outer / "state"), "failed", "may not write", "chown")
    says(state_check(STRANGER, outer / "missing"), "failed", "may not make it", "install -d")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_that_root_left_in_the_node_s_folder_is_named(tmp_path: Path) -> None:
    folder = put(tmp_path, "state/outbox.sqlite", "").parent
    for path in (folder, *folder.parents[: len(folder.parents) - 2]):
        path.chmod(0o755)
    os.chown(folder, STRANGER.uid, 60_985)
    says(state_check(STRANGER, folder), "failed", "outbox.sqlite", "chown -R")


def device(root: Path, mode: int) -> Path:
    put(root, "dev/snd/pcmC1D0c", "").chmod(mode)
    put(root, "dev/snd/pcmC1D0p", "").chmod(0o000)  # an output
    return root


def test_a_sound_card_needs_its_group(tmp_path: Path) -> None:
    says(sound_check(STRANGER, device(tmp_path, 0o666)), "ok", "1 devices")
    found = sound_check(STRANGER, device(tmp_path, 0o660))
    says(found, "failed", "not in the group audio", "adduser earpatch audio")


def test_a_membership_that_is_new_needs_another_login(tmp_path: Path) -> None:
    root = device(system(tmp_path), 0o660)
    says(sound_check(STRANGER, root), "failed", "log in again")


def test_the_service_s_unit_may_give_the_group(tmp_path: Path) -> None:
    root = device(tmp_path, 0o660)
    put(root, "etc/systemd/system/earpatch.service", "[Service]\nSupplementaryGroups=audio\n")
    says(sound_check(STRANGER, root), "ok", "by its unit")


def test_a_computer_without_sound_cards_is_skipped(tmp_path: Path) -> None:
    assert states(checks(Visit(None, tmp_path))) == {
        "state folder": "skipped", "sound access": "skipped"
    }  # fmt: skip


def test_a_node_without_a_microphone_needs_no_sound_card(tmp_path: Path) -> None:
    visit = visit_to(tmp_path, source='kind = "stdin"\nrate_hz = 48000', root=tmp_path)
    assert set(states(checks(visit))) == {"permissions", "state folder"}
    says(only(checks(visit), "state folder"), "ok", "will be made")
