"""The commands of the desktop: `convert` and `demo`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.commands import add_normal_options, count
from convert.bench.commands import add_command as add_bench
from edge.errors import EarpatchError

if TYPE_CHECKING:
    import argparse

BACKBONES = ("student", "mn04", "mobilenet_v2", "random")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this package's commands to the parser."""
    convert = commands.add_parser(
        "convert", help="quantise a backbone and learn normal sound (desktop, TensorFlow)"
    )
    convert.add_argument("bundle", type=Path, metavar="BUNDLE")
    convert.add_argument("--backbone", choices=BACKBONES, required=True)
    convert.add_argument(
        "--weights", type=Path, metavar="FILE", help="use these weights instead of downloading"
    )
    add_normal_options(convert)
    convert.set_defaults(handler=_convert)

    _add_pretrain(commands)
    _add_evaluate(commands)
    add_bench(commands)
    demo = commands.add_parser("demo", help="the product in a minute, on a simulated machine")
    demo.add_argument(
        "--output",
        type=Path,
        default=Path("demo-output"),
        metavar="DIR",
        help="default demo-output",
    )
    demo.add_argument("--seed", type=count, default=1, help="another machine, other faults")
    demo.set_defaults(handler=_demo)


def _add_pretrain(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    pretrain = commands.add_parser(
        "pretrain", help="distil the student backbone from its teachers (desktop, TensorFlow)"
    )
    pretrain.add_argument("folder", type=Path, metavar="FOLDER", help="an unfinished run goes on")
    pretrain.add_argument("--data", type=Path, required=True, metavar="DIR", help="recordings")
    pretrain.add_argument(
        "--teachers", type=Path, required=True, metavar="DIR", help="the teachers' weights"
    )
    pretrain.add_argument("--windows", type=count, default=400_000, metavar="N")
    pretrain.add_argument(
        "--fine-tune-windows", type=count, default=96_000, metavar="N",
        help="then learn on as int8 will round; 0: don't; default 96000",
    )  # fmt: skip
    pretrain.add_argument("--seed", type=count, default=1)
    pretrain.set_defaults(handler=_pretrain)


def _add_evaluate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    evaluate = commands.add_parser(
        "evaluate", help="measure detection and localisation, beside simple baselines (desktop)"
    )
    evaluate.add_argument("--backbone", choices=("builtin", *BACKBONES, "yamnet"), action="append")
    evaluate.add_argument("--bundle", type=Path, action="append", default=[], metavar="BUNDLE")
    evaluate.add_argument(
        "--weights", type=Path, metavar="DIR", help="of the files of mn04, mobilenet_v2, yamnet"
    )
    evaluate.add_argument("--mixtures", type=Path, metavar="DIR", help="esc10/ and slider_id00/")
    evaluate.add_argument("--mixed-clips", type=count, default=48, metavar="N", help="a set")
    evaluate.add_argument("--normal", type=Path, metavar="DIR", help="with --anomalous")
    evaluate.add_argument("--anomalous", type=Path, metavar="DIR", help="with --normal")
    evaluate.add_argument("--layout", choices=("mimii", "dcase"), help="of --root")
    evaluate.add_argument("--root", type=Path, metavar="DIR", help="a data set as published")
    evaluate.add_argument("--simulated-clips", type=count, default=8, metavar="N", help="0: none")
    evaluate.add_argument(
        "--latency", action="store_true", help="only time the int8 backbones, beside mn04"
    )
    evaluate.add_argument(
        "--quantisation",
        nargs="?",
        const=True,
        type=Path,
        metavar="DIR",
        help="only compare int8 with float, on recordings or --mixtures",
    )
    evaluate.add_argument(
        "--faithfulness", action="store_true",
        help="only replace the highlighted cells, on simulated machines and --mixtures",
    )  # fmt: skip
    evaluate.add_argument(
        "--alarms", type=count, default=0, metavar="N",
        help="instead: recall, boxes and strays at one false alarm a day, N faults a machine",
    )  # fmt: skip
    evaluate.add_argument(
        "--promise-hours", type=float, default=0.0, metavar="H",
        help="only count the false alarms of simulated machines, H hours of each",
    )  # fmt: skip
    evaluate.add_argument("--promise-machines", type=count, default=4, metavar="N")
    evaluate.add_argument("--promise-minutes", type=float, default=30.0, metavar="M")
    evaluate.add_argument("--promise-per-day", type=float, default=100.0, metavar="X")
    evaluate.add_argument("--seed", type=count, default=1)
    evaluate.add_argument("--plot", type=Path, metavar="FILE.png", help="the results as a picture")
    evaluate.add_argument("--json", action="store_true", help="one JSON object a row")
    evaluate.set_defaults(handler=_evaluate)


def _convert(arguments: argparse.Namespace) -> int:
    from calibration.calibrate import bank_limits, print_notes, tell  # noqa: PLC0415
    from calibration.learn import learn  # noqa: PLC0415
    from calibration.survey import survey  # noqa: PLC0415
    from convert.build import build_backbone  # noqa: PLC0415
    from edge.bundle_store import check_target  # noqa: PLC0415

    check_target(arguments.bundle)
    _require("desktop", "tensorflow")
    heard = survey(arguments.normal, accept=arguments.accept_all)
    print_notes(heard)
    source = build_backbone(arguments.backbone, arguments.weights, heard, runtime=arguments.runtime)
    learnt = learn(
        arguments.bundle,
        source,
        heard,
        bank_limits(arguments),
        false_alarms_per_day=arguments.false_alarms_per_day,
    )
    tell(arguments.bundle, learnt)
    return 0


def _require(extra: str, *modules: str) -> None:
    """What an extra brings, and a node does without."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise EarpatchError(
            f"this command needs {' and '.join(missing)}: in a clone, pip install '.[{extra}]'"
        )


def _pretrain(arguments: argparse.Namespace) -> int:
    _require("desktop", "tensorflow", "matplotlib")
    from convert.pretrain import pretrain  # noqa: PLC0415

    record = pretrain(
        arguments.folder,
        arguments.data,
        arguments.teachers,
        windows=arguments.windows,
        fine_tune_windows=arguments.fine_tune_windows,
        seed=arguments.seed,
    )
    print(f"{arguments.folder}: {record.windows} windows, error {record.losses[-1]:.4f}")
    if tuned := record.fine_tuning:
        print(
            f"fine-tuned on {tuned.windows} windows: error {tuned.losses[-1]:.4f}, "
            f"int8 against float {tuned.rounding[-1]:.5f}"
        )
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    _require("desktop", "tensorflow", "sklearn", "sed_scores_eval")
    from convert.evaluate import evaluate_command  # noqa: PLC0415

    return evaluate_command(arguments)


def _demo(arguments: argparse.Namespace) -> int:
    _require("demo", "amqtt", "matplotlib")
    from convert.demo import run_demo  # noqa: PLC0415

    return run_demo(arguments.output, arguments.seed)
