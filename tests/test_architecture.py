"""What may import what, and what a command may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Site

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("edge", "calibration", "convert")
ABOVE = {"edge": {"calibration", "convert"}, "calibration": {"convert"}, "convert": set[str]()}
DESKTOP = {"tensorflow", "keras", "matplotlib", "amqtt"}
CHILD_S = 120.0
RUN_AND_LOOK = """
import sys
from convert.main import main
try:
    code = main(sys.argv[1:])
except SystemExit as exit:
    code = exit.code
loaded = {name.partition(".")[0] for name in sys.modules}
print("LOADED", *sorted(loaded), file=sys.stderr)
sys.exit(code)
"""
CONFIG = """
[node]
id = "n"
state_dir = "state"
[bundle]
path = "{bundle}"
[source]
kind = "file"
path = "{day}"
[mqtt]
url = "mqtt://127.0.0.1:9"
drain_s = 0
"""
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Top-level packages that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            yield node.module.partition(".")[0]


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_one_way(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        against = ABOVE[package] & set(imported(parsed(path)))
        assert not against, f"{path.relative_to(ROOT)} imports {against}"


@pytest.mark.parametrize("package", ["edge", "calibration"])
def test_nothing_on_the_node_imports_what_only_the_desktop_has(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        against = (DESKTOP | {"torch", "sklearn", "faiss", "tests"}) & set(imported(parsed(path)))
        assert not against, f"{path.relative_to(ROOT)} imports {against}"


def test_no_module_unpickles_evaluates_or_runs_a_shell() -> None:
    forbidden = {"pickle", "marshal", "shelve", "dill", "joblib"}
    for path in MODULES:
        tree = parsed(path)
        assert not forbidden & set(imported(tree)), path
        called = {node.func.id for node in ast.walk(tree)
                  if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}  # fmt: skip
        assert not {"eval", "exec", "compile", "__import__"} & called, path


def test_no_call_allows_pickles_or_a_shell() -> None:
    for path in MODULES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.keyword) and node.arg in {"allow_pickle", "shell"}:
                assert ast.unparse(node.value) == "False", path


def test_the_packages_are_all_there_is_at_the_top() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert found == {*PACKAGES, "tests"}


def loaded(*arguments: str, code: int = 0) -> set[str]:
    """Top-level modules in a process that ran a command."""
    command = [sys.executable, "-c", RUN_AND_LOOK, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_S, check=False)
    assert done.returncode == code, done.stderr
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("LOADED "))
    return set(line.split()[1:])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["install", "--help"],
        ["calibrate", "--help"],
        ["convert", "--help"],
    ],
    ids=" ".join,
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    heavy = {"numpy", "scipy", "soundfile", "msgspec", "paho", "tflite_runtime", "ai_edge_litert"}
    assert not (heavy | {"cryptography"} | DESKTOP) & loaded(*arguments)


def test_score_loads_nothing_of_the_desktop_and_nothing_of_calibration(site: Site) -> None:
    found = loaded("score", str(site.bundle_path), str(site.day))
    assert "numpy" in found
    assert not (DESKTOP | {"sklearn", "torch", "pandas", "paho", "cryptography"}) & found


def test_what_is_not_signed_is_listed_and_rolled_back_without_cryptography(site: Site) -> None:
    """It is an extra; a node may do without."""
    assert "cryptography" not in loaded("bundles", str(site.bundle_path))
    assert "cryptography" not in loaded("rollback", str(site.bundle_path), code=2)


def test_run_loads_nothing_of_the_desktop(site: Site, tmp_path: Path) -> None:
    """H08: what bundles its own OpenMP library stays out of the node."""
    config = tmp_path / "node.toml"
    config.write_text(CONFIG.format(bundle=site.bundle_path, day=site.day))
    found = loaded("run", "--config", str(config), code=3)  # nobody took the events
    assert {"numpy", "paho"} <= found
    assert not (DESKTOP | {"sklearn", "torch", "cv2", "flatbuffers", "tflite"}) & found


def test_a_node_starts_without_scipys_signal_and_statistics() -> None:
    """They would be a third of its memory and half of its start."""
    look = "import sys, edge.node; print(*sorted(sys.modules))"
    command = [sys.executable, "-c", look]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_S, check=True)
    assert not {"scipy.signal", "scipy.stats", "scipy.optimize"} & set(done.stdout.split())


def test_calibrate_loads_nothing_of_the_desktop(site: Site, tmp_path: Path) -> None:
    found = loaded("calibrate", str(tmp_path / "bundle"), "--normal", str(site.normal))
    assert not (DESKTOP | {"sklearn", "torch", "paho"}) & found
