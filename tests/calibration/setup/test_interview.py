"""The questions of `earpatch setup`, answered by a script."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from calibration.setup.answers import Answers, SetupError, check, first_answers
from calibration.setup.interview import Interview, Interviewed
from calibration.setup.partners import Choice
from tests.calibration.setup.scripted import BAD, GOOD, USB, Around, Script

BEFORE = Answers(node="pump-3", url="mqtt://10.0.0.1:1883", topic_prefix="site/area/line")

TYPED = "typed"


def asked(person: Script, around: Around | None = None, before: Answers = BEFORE) -> Interviewed:
    return Interview(person, around or Around(), before).run()


def test_enter_keeps_what_is_there_and_takes_what_is_found() -> None:
    answers = asked(Script()).answers
    kept = msgspec.structs.replace(BEFORE, device=USB.device, calibrate_s=600.0, start=True)
    assert answers == kept


def test_everything_can_be_answered_otherwise() -> None:
    person = Script({
        "Name of the node": ["fan-1"], "Which?": ["2"], "Site": ["works/hall"],
        "Address": ["broker.example"], "User name": ["fan"], "Minutes": ["0"], "Start": ["n"],
    }, password=TYPED)  # fmt: skip
    other = Choice("port:1-1.3", "other")
    around = Around(found=[[USB, other]])
    answers, password = asked(person, around)
    assert answers == Answers(
        node="fan-1", device=other.device, url="mqtt://broker.example", username="fan",
        topic_prefix="works/hall", calibrate_s=0.0, start=False,
    )  # fmt: skip
    assert password == TYPED
    assert around.heard == [other.device]
    ((settings, node, tried),) = around.asked
    assert (settings.url, node, tried) == ("mqtt://broker.example", "fan-1", TYPED)


def test_an_answer_that_does_not_fit_is_asked_again_and_why_is_said() -> None:
    person = Script({"Name of the node": ["a pump", "pump"], "Site": ["a/#", "a/b"]})
    answers = asked(person).answers
    assert (answers.node, answers.topic_prefix) == ("pump", "a/b")
    assert person.text.count("that doesn't fit") == 2


def test_a_microphone_that_comes_later_is_found_when_it_is_looked_for_again() -> None:
    around = Around(found=[[], [USB]])
    assert asked(Script(), around).answers.device == USB.device


def test_a_microphone_that_is_not_here_yet_can_be_named() -> None:
    around = Around(found=[[]])
    person = Script({"Which?": ["usb:0d8c:0014"]})
    assert asked(person, around).answers.device == "usb:0d8c:0014"


def test_the_wrong_microphone_is_chosen_anew() -> None:
    other = Choice("port:1-1.3", "other")
    around = Around(found=[[USB, other]])
    person = Script({"Which?": ["1", "7", "2"], "right microphone": ["n", "y"]})
    assert asked(person, around).answers.device == other.device
    assert around.heard == [USB.device, other.device]


def test_a_broker_that_fails_is_asked_for_again_or_kept_on_purpose() -> None:
    around = Around(stages=[BAD, GOOD])
    person = Script({"Address": ["wrong", "right"]})
    answers = asked(person, around).answers
    assert (answers.url, answers.broker_must_answer) == ("mqtt://right", True)
    assert "connection refused" in person.text
    kept = asked(Script({"Keep this broker": ["y"]}), Around(stages=[BAD])).answers
    assert not kept.broker_must_answer


def test_an_authority_is_asked_for_with_tls_alone() -> None:
    person = Script({"Address": ["mqtts://b.example"], "authority": ["/etc/ca.pem"]})
    assert asked(person).answers.ca_file == "/etc/ca.pem"
    before = msgspec.structs.replace(BEFORE, url="mqtts://b", ca_file="/etc/ca.pem")
    person = Script({"Address": ["mqtt://b.example"]})
    assert asked(person, before=before).answers.ca_file is None
    assert not [question for question in person.asked if "authority" in question]


def test_a_user_name_is_given_up_together_with_its_password() -> None:
    before = msgspec.structs.replace(BEFORE, username="a", password_file=TYPED)
    answers, password = asked(Script({"User name": ["-"]}), before=before)
    assert (answers.username, answers.password_file, password) == (None, None, None)


@pytest.mark.parametrize("question", ["Name", "Which", "Site", "Address", "Minutes", "Start"])
def test_a_person_who_leaves_ends_it(question: str) -> None:
    with pytest.raises(SetupError, match="nothing was written"):
        asked(Script(gone_at=question))


@given(st.dictionaries(
    st.sampled_from(["Name", "Which", "Site", "Address", "User", "Minutes", "(y/n)", "Keep"]),
    st.lists(st.text(max_size=12), max_size=30), max_size=8,
))  # fmt: skip
@example({"Which": ["\N{SUPERSCRIPT TWO}"]})  # a digit, and no number
def test_whatever_is_typed_ends_in_good_answers_or_in_an_error(lines: dict[str, list[str]]) -> None:
    try:
        answers = asked(Script(lines)).answers
    except SetupError:
        return
    assert check(answers) == answers


@given(st.text(max_size=300))
def test_any_host_name_makes_a_name_for_the_node(host: str) -> None:
    answers = first_answers(host)
    assert msgspec.convert(msgspec.to_builtins(answers), Answers) == answers
