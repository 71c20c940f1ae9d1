"""Some hundred damaged inputs of `benchmarks.robustness`, in this process."""

import random
import warnings

import pytest

from benchmarks import robustness

COUNTS = {"midi": 80, "sequence": 80, "score": 30, "audio": 60, "sfz": 15, "piano": 40}


@pytest.mark.parametrize("kind", COUNTS)
def test_damaged_inputs_are_taken_or_refused_in_one_sentence(kind):
    outcomes = [robustness.Trial(kind, seed=1)(number) for number in range(COUNTS[kind])]
    assert not [outcome for outcome in outcomes if outcome.verdict == "fault"]
    assert {outcome.verdict for outcome in outcomes} == {"accepted", "refused"}


@pytest.mark.parametrize(("kind", "number"), [("piano", 673), ("checkpoint", 185)])
def test_inputs_that_once_were_faults(kind, number):
    assert robustness.Trial(kind, seed=0)(number).verdict != "fault"


def test_undamaged_inputs_are_accepted(tmp_path):
    for kind in ("sequence", "audio", "sfz", "piano"):
        tried = robustness.KINDS[kind]()
        for number, data in enumerate(tried.seeds):
            folder = tmp_path / f"{kind}-{number}"
            folder.mkdir()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # one of them is a recording of unsaid length
                tried.try_out(data, folder)


def test_an_input_can_be_made_again():
    assert robustness.made("midi", 3, 17) == robustness.made("midi", 3, 17)
    assert robustness.made("midi", 3, 17) != robustness.made("midi", 3, 18)


@pytest.mark.parametrize(("error", "fault"), [
    (ValueError("two\nlines."), "several lines"), (ValueError(""), "an empty message"),
    (ValueError("bad"), "no sentence"), (KeyError("a"), "KeyError"),
    (ValueError("x is 3, expected 4."), None)])
def test_what_counts_as_a_fault(error, fault):
    def fail():
        raise error

    verdict, said = robustness._judged(fail)
    assert verdict == ("fault" if fault else "refused")
    assert (fault or "expected 4") in said


def test_what_a_library_raises_is_a_fault_even_if_it_is_a_value_error():
    verdict, said = robustness._judged(lambda: random.Random(0).sample([1], 2))
    assert verdict == "fault"
    assert "random.py" in said
