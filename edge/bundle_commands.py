"""The commands around a bundle's life: keys, pack, install, rollback, bundles, golden."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    import numpy as np
    from numpy.typing import NDArray

    from edge.bundle_versions import Version

RUNTIMES = ("auto", "tflite-runtime", "litert")
KERNELS = ("auto", "optimised", "reference")
TRUST = Path("/etc/earpatch/keys")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these commands to the parser."""
    keys = commands.add_parser("keys", help="make a pair of keys to sign bundles with")
    keys.add_argument("folder", type=Path, metavar="DIR")
    keys.set_defaults(handler=_keys)

    pack = commands.add_parser("pack", help="write a bundle as one file")
    pack.add_argument("bundle", type=Path, metavar="BUNDLE")
    pack.add_argument("file", type=Path, metavar="FILE.earpatch")
    pack.add_argument("--key", type=Path, metavar="FILE.key", help="sign it with a private key")
    pack.set_defaults(handler=_pack)

    _add_install(commands)
    rollback = commands.add_parser("rollback", help="go back to the version before")
    rollback.add_argument("bundle", type=Path, metavar="BUNDLE")
    rollback.set_defaults(handler=_rollback)

    bundles = commands.add_parser("bundles", help="list the versions of a bundle")
    bundles.add_argument("bundle", type=Path, metavar="BUNDLE")
    bundles.add_argument("--json", action="store_true", help="one JSON object a line")
    bundles.set_defaults(handler=_bundles)

    golden = commands.add_parser(
        "golden", help="compare runtimes and kernels on a bundle's golden windows, and on sound"
    )
    golden.add_argument("bundle", type=Path, metavar="BUNDLE")
    golden.add_argument("files", type=Path, nargs="*", metavar="FILE", help="recordings to score")
    golden.add_argument("--json", action="store_true", help="one JSON object a row")
    golden.set_defaults(handler=_golden)


def _add_install(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    install = commands.add_parser("install", help="verify a packed bundle and switch to it")
    install.add_argument("file", type=Path, metavar="FILE.earpatch")
    install.add_argument("bundle", type=Path, metavar="BUNDLE")
    trust = install.add_mutually_exclusive_group()
    trust.add_argument(
        "--trust", type=Path, default=TRUST, metavar="DIR",
        help=f"folder with the public keys to trust, default {TRUST}",
    )  # fmt: skip
    trust.add_argument("--allow-unsigned", action="store_true", help="look at no signature")
    install.add_argument(
        "--sound", type=Path, metavar="FILE",
        help="make the self-test at once, with a recording of normal sound; else the node does",
    )  # fmt: skip
    install.add_argument("--runtime", choices=RUNTIMES, default="auto", help="TFLite runtime")
    install.set_defaults(handler=_install)


def _keys(arguments: argparse.Namespace) -> int:
    from edge.signing import make_keys  # noqa: PLC0415

    private, public = make_keys(arguments.folder)
    print(f"{private}: signs; keep it off the nodes, and to yourself")
    print(f"{public}: copy it into {TRUST} of every node that shall trust it")
    return 0


def _pack(arguments: argparse.Namespace) -> int:
    from edge.install import pack_bundle  # noqa: PLC0415

    bundle_id = pack_bundle(arguments.bundle, arguments.file, arguments.key)
    print(f"{arguments.file}: bundle {bundle_id}, {arguments.file.stat().st_size:,} bytes")
    return 0


def _install(arguments: argparse.Namespace) -> int:
    from edge.errors import BundleError, RecordingError  # noqa: PLC0415
    from edge.install import install  # noqa: PLC0415

    sound = _sound(arguments.sound) if arguments.sound else None
    trust = None if arguments.allow_unsigned else arguments.trust
    done = install(arguments.file, arguments.bundle, trust, runtime=arguments.runtime)
    print(f"{arguments.bundle}: bundle {done.bundle_id}, {_signed(done.key)}")
    print(f"  {done.golden.line}")
    if sound is None:
        print("  on trial: a running node takes it up within a minute, and tests it on live sound")
        return 0
    from edge.bundle import open_bundle  # noqa: PLC0415
    from edge.self_test import self_test  # noqa: PLC0415
    from edge.trial import Trial  # noqa: PLC0415

    try:
        report = self_test(open_bundle(arguments.bundle, runtime=arguments.runtime), *sound)
    except RecordingError as error:
        raise RecordingError(f"{arguments.sound}: {error}. The bundle stays on trial") from None
    trial = Trial(arguments.bundle)
    if not report.passed:
        raise BundleError(trial.fail(report.line))
    print(f"  {trial.judge(report)}")
    return 0


def _signed(key: str | None) -> str:
    return f"signed with {key}" if key else "NOT SIGNED, or by nobody that was asked for"


def _sound(path: Path) -> tuple[NDArray[np.float32], int]:
    import numpy as np  # noqa: PLC0415

    from edge.recording import read_blocks, recording_info  # noqa: PLC0415

    info = recording_info(path)
    return np.concatenate(list(read_blocks(info))), info.rate_hz


def _rollback(arguments: argparse.Namespace) -> int:
    from edge.bundle_versions import roll_back  # noqa: PLC0415

    print(f"{arguments.bundle}: back to {roll_back(arguments.bundle)}")
    return 0


def _bundles(arguments: argparse.Namespace) -> int:
    import msgspec  # noqa: PLC0415

    from edge.bundle_versions import list_versions  # noqa: PLC0415

    for version in list_versions(arguments.bundle):
        print(msgspec.json.encode(version).decode() if arguments.json else _told(version))
    return 0


def _told(version: Version) -> str:
    signed = ", signed" if version.signed else ""
    note = f"\n    {version.note}" if version.note else ""
    created = f"made {version.created_utc}" if version.created_utc else ""
    return f"{version.state:9} {version.name}  {created}{signed}{note}"


def _golden(arguments: argparse.Namespace) -> int:
    import msgspec  # noqa: PLC0415

    from edge.kernel_table import compare, table  # noqa: PLC0415

    rows = compare(arguments.bundle, arguments.files)
    if arguments.json:
        print(*(msgspec.json.encode(row).decode() for row in rows), sep="\n")
    else:
        print(*table(rows), sep="\n")
    return 0
