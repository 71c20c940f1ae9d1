"""Flags made of options: what a field says is the flag, said once."""

import dataclasses

import pytest
from absl import flags

from style_transfer import options as options_lib
from style_transfer.scripts import _cli, _flags
from style_transfer.scripts import style_transfer_generate as generate


@dataclasses.dataclass(frozen=True)
class Nested:
    loud: float = options_lib.option(0.5, "How loud.", low=0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example(options_lib.ContentOptions):
    strikes: int | None = options_lib.option(None, "How often.", low=1)
    kind: str = options_lib.option("bell", "Which.", choices=("bell", "gong"))
    nested: Nested = options_lib.option(Nested(), "", nested=True)


def parsed(*arguments):
    values = flags.FlagValues()
    _flags.define(Example, values)
    _flags.define_aliases(list(values), values)
    values(["command", "--output_dir=out", *arguments])
    _flags.check_required(values)
    return _flags.parsed(Example, values)


def test_fields_become_flags_with_their_types_and_defaults():
    assert parsed("--content=a") == Example(content=("a",), output_dir="out")
    found = parsed("--content=a", "--strikes=3", "--kind=gong", "--loud=0.7", "--nopicture",
                   "--checkpoint=run")
    assert found == Example(content=("a",), output_dir="out", strikes=3, kind="gong",
                            nested=Nested(0.7), picture=False, weights="run")


def test_no_alias_is_another_name_of_two_flags_of_a_command():
    """Where two flags could claim a name, the first in the table has it, in every command."""
    names = [name for aliases in _flags.ALIASES.values() for name in aliases]
    shared = {name for name in names if names.count(name) > 1}
    assert shared <= {"model_dir", "content", "input"}


def test_an_unknown_flag_suggests_ours_by_any_of_its_names():
    values = flags.FlagValues()
    _flags.define(Example, values)
    _flags.define_aliases(list(values), values)
    names = ["content", "weights", "strikes"]
    assert _flags.suggestion("chekpoint_file", values, names).endswith("did you mean --weights?")
    assert _flags.suggestion("zzz", values, names) == "unknown flag --zzz"


def test_help_lists_groups_those_with_required_flags_first():
    values = flags.FlagValues()
    _flags.define(Example, values)
    text = _flags.described(list(values), values)
    titles = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert titles == ["Results:", "Piece:", "Model:", "Several machines:"]
    assert "  --kind=<bell|gong>\n    Which. (default: bell)" in text
    assert "(required)" in text[text.index("--output_dir"):text.index("--[no]overwrite")]


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(monkeypatch, capsys):
    report = _flags._Report()
    report("playing 1 of 9 s", again=True)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(_flags, "PROGRESS_SECS", 0.0)
    report("playing 2 of 9 s", again=True)
    report("wrote")
    assert capsys.readouterr().out == "playing 2 of 9 s\nwrote\n"


@pytest.mark.parametrize("wrong", ["--strikes=0", "--kind=drum", "--loud=-1", "--seed=x"])
def test_limits_and_choices_hold(wrong):
    with pytest.raises(flags.Error):
        parsed("--content=a", wrong)


def test_what_is_required_must_be_given():
    with pytest.raises(ValueError, match="--content is required"):
        parsed()


def test_lists_of_files_add_up_and_names_may_hold_commas(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Prelude, Op. 28.mid").touch()
    found = parsed("--content=a.mid,b.mid", "--content=Prelude, Op. 28.mid", "--content=c.mid")
    assert found.content == ("a.mid", "b.mid", "Prelude, Op. 28.mid", "c.mid")


@pytest.mark.parametrize(("arguments", "message"), [
    (["--config=drum_kit", "--mode=sample", "--style=a"],
     "--mode, --style cannot be used with --config=drum_kit; --mode is for cat-drums_2bar_small"),
    (["--contnt=a"], "unknown flag --contnt; did you mean --content?"),
    (["--config", "nothing"], "There is no config 'nothing'"),
    (["--config=drum_kit", "--num_steps=0"], "flag --num_steps=0"),
])
def test_flags_that_do_not_fit_are_one_line_errors(arguments, message, capsys):
    status = _cli.call(generate.main, ["generate", *arguments], generate.flags_of,
                       generate.help_text, generate.why_unknown)
    error = capsys.readouterr().err
    assert status == 1 and error.startswith(f"error: {message}") and error.count("\n") == 1


def test_help_shows_the_main_job_first_and_then_every_other_model(capsys):
    text = generate.help_text(["generate"])
    assert text.index("  --style_midi\n") < text.index("  --primer_drums\n")
    assert text.count("  --output_dir\n") == 1, "shared flags stand once"
    assert "cat-mel_2bar_small and their like" in text and "cat-\n" not in text, "names are whole"
    own = generate.help_text(["generate", "--config=drum_kit"])
    assert "  --primer_drums\n" in own and "  --style_midi\n" not in own
