"""`earpatch setup`: ask a technician, or take a file of answers; write, calibrate, start."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from calibration.setup.answers import (
    SetupError,
    answers_from,
    first_answers,
    load_answers,
)
from calibration.setup.configuration import (
    configuration,
    read_raw,
    state_folder,
    write_configuration,
    write_password,
)
from calibration.setup.interview import Interview, Interviewed
from calibration.setup.service import commands, run_all, unit_of
from calibration.setup.surroundings import Here
from edge.bundle_store import holds_bundle
from edge.settings import load_settings

if TYPE_CHECKING:
    import argparse

    from calibration.setup.answers import Answers
    from calibration.setup.partners import Person, Surroundings


class Terminal:
    """A person at a terminal."""

    def say(self, text: str) -> None:
        """Tell something."""
        print(text, flush=True)

    def answer(self, question: str) -> str:
        """Ask for a line."""
        try:
            return input(question)
        except EOFError:
            raise SetupError("nobody answers any more; nothing was written") from None

    def secret(self, question: str) -> str:
        """Ask for a line that isn't shown."""
        try:
            return getpass.getpass(question)
        except EOFError:
            raise SetupError("nobody answers any more; nothing was written") from None


def setup(arguments: argparse.Namespace) -> None:
    """Do what the command line asks for.

    Raises:
        EarpatchError: nobody can be asked, an answer makes no sense, or a step failed.
    """
    config: Path = arguments.config.absolute()
    terminal, here = Terminal(), Here(password_path(config))
    raw = read_raw(config)
    if not config.parent.is_dir():
        raise SetupError(f"{config.parent}: no such folder; install earpatch first, or --config")
    if arguments.answers is not None:
        answered = Interviewed(load_answers(arguments.answers), None)
        _look(answered.answers, here, terminal)
    elif not sys.stdin.isatty():
        raise SetupError(
            "setup asks questions, and there is no terminal: use --answers FILE, or write "
            f"{config} by hand (see {config.parent}/earpatch.toml.example)"
        )
    else:
        _greet(config, terminal, known=bool(raw))
        answered = Interview(terminal, here, answers_from(raw, first_answers())).run()
    finish(answered, config, terminal)


def finish(answered: Interviewed, config: Path, person: Person) -> None:
    """Write it all, then run what is left to do."""
    answers = answered.answers
    if answered.password is not None:
        path = password_path(config)
        write_password(answered.password, path)
        person.say(f"\nwritten: {path} (the password)")
        handed_over = unit_of(config) is not None
        kept = None if handed_over else str(path)
        answers = msgspec.structs.replace(answers, password_file=kept)
    before = config.read_text(encoding="utf-8") if config.exists() else ""
    write_configuration(configuration(answers, before, state_folder(config)), config)
    person.say(f"written: {config}")
    bundle = _bundle(config)
    learnt = holds_bundle(bundle)
    person.say("\nWhat is left to do, and what does it:")
    run_all(commands(answers, config, bundle, learnt=learnt), person.say, answers)
    _farewell(answers, config, bundle, person)


def password_path(config: Path) -> Path:
    """Where the unit looks for the password."""
    return config.with_suffix(".password")


def _bundle(config: Path) -> Path:
    (only,) = load_settings(config).all_inputs()
    return Path(only.bundle.path)


def _look(answers: Answers, around: Surroundings, person: Person) -> None:
    """What a person would see on the way; a broker that doesn't answer is refused unless told."""
    stages = around.broker(answers.mqtt(), answers.node, None)
    for stage in stages:
        person.say(f"{stage.name:8} {'ok' if stage.ok else 'FAILED'}  {stage.text}")
    if answers.broker_must_answer and not all(stage.ok for stage in stages):
        raise SetupError(
            "the broker doesn't answer; nothing was written. broker_must_answer = false writes it "
            "nevertheless"
        )


def _greet(config: Path, person: Person, *, known: bool) -> None:
    person.say(
        "earpatch setup. Enter keeps what stands in [brackets]; Ctrl-C ends without a trace."
    )
    person.say(f"What it writes: {config}{', which is there already' if known else ''}")


def _farewell(answers: Answers, config: Path, bundle: Path, person: Person) -> None:
    unit = unit_of(config)
    if not holds_bundle(bundle):
        person.say("\nThe node can't listen before it was calibrated. While the machine is well:")
        person.say(f"  earpatch calibrate {bundle} --seconds 600 --config {config}")
        return
    if unit:
        person.say(f"\nHow it goes: systemctl status {unit}; journalctl -u {unit} -f")
    else:
        person.say(f"\nLet it run: earpatch run --config {config}")
    url, prefix = answers.url, answers.topic_prefix
    person.say(f"Its events:  earpatch listen --url {url} --topic {prefix}")
