import dataclasses
import importlib
import inspect
import subprocess
import sys

import pytest

from style_transfer import configs
from tests import tiny_config

# Hparams that are not what the model alone defaults to.
OWN_DEFAULTS = {"midi2wave": {"global_size"}}  # 0 until `piano=style`


@dataclasses.dataclass(frozen=True)
class Example(configs.Hparams):
    count: int = 1
    rate: float = 0.5
    name: str = "a"
    flag: bool = False
    sizes: tuple[int, ...] = (1, 2)
    names: tuple[str, ...] = ()
    limit: float | None = None


def test_every_config_of_the_registry_is_found_under_its_own_name():
    assert {"onsets_frames", "onsets_frames_small", "piano_ddsp"} <= set(configs.names())
    for name in configs.names():
        assert configs.get(name).name == name


def test_unknown_config_is_an_error_that_lists_the_valid_ones():
    with pytest.raises(ValueError, match="no config 'piano_dsp'.*piano_ddsp"):
        configs.get("piano_dsp")


def test_own_config_is_imported_from_its_module():
    assert configs.get("tests.tiny_config:CONFIG").name == tiny_config.CONFIG.name
    with pytest.raises(ValueError, match="cannot be imported"):
        configs.get("tests.tiny_config:NOTHING")
    with pytest.raises(ValueError, match="is a int, expected a configs.Config"):
        configs.get("tests.tiny_config:NUM_SAMPLES")


def test_getting_a_config_imports_neither_keras_nor_tensorflow():
    code = ("import sys; from style_transfer import configs; "
            "[configs.get(name) for name in configs.names()]; "
            "print([m for m in ('keras', 'tensorflow', 'librosa') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("text", "expected"), [
    ("", {}),
    ("count=3", {"count": 3}),
    ("count=1e5", {"count": 100_000}),
    ("rate=1e-3,count=-2", {"rate": 1e-3, "count": -2}),
    ("rate=2", {"rate": 2.0}),
    ("sizes=[3,4,5],name=b", {"sizes": (3, 4, 5), "name": "b"}),
    ("sizes=[]", {"sizes": ()}),
    ("sizes=(7)", {"sizes": (7,)}),
    ("names=[x, 'y,z']", {"names": ("x", "y,z")}),
    ("name='a,b=c'", {"name": "a,b=c"}),
    ("flag=True, batch_size=2", {"flag": True, "batch_size": 2}),
    ("flag=0", {"flag": False}),
    ("limit=3", {"limit": 3.0}),
    ("limit=none", {"limit": None}),
])
def test_hparams_have_the_types_of_their_defaults(text, expected):
    parsed = configs.parse_hparams(text, Example())
    assert parsed == dataclasses.replace(Example(), **expected)
    for name, value in expected.items():
        assert type(getattr(parsed, name)) is type(value)


@pytest.mark.parametrize(("text", "message"), [
    ("cuont=3", "no hparam 'cuont'.*Choose from: .*count, rate"),
    ("count=1.5", "count=1.5 is not valid: expected an integer"),
    ("count=many", "expected an integer"),
    ("rate=fast", "expected a number"),
    ("flag=maybe", "expected true or false"),
    ("sizes=3", "expected a list of an integer in brackets"),
    ("sizes=[1,b]", "expected a list of an integer in brackets"),
    ("limit=x", "expected a number or none"),
    ("count", "'count' is no hparam, expected name=value"),
    ("count=1,count=2", "given twice"),
    ("sizes=[1,2", "do not match"),
    ("sizes=1]", "do not match"),
])
def test_hparams_that_cannot_be_read_are_errors_that_say_what_was_expected(text, message):
    with pytest.raises(ValueError, match=message):
        configs.parse_hparams(text, Example())


def test_hparams_survive_a_record():
    hparams = configs.parse_hparams("sizes=[3],limit=2", Example())
    plain = {**dataclasses.asdict(hparams), "sizes": [3]}
    assert configs.from_dict(plain, Example()) == hparams
    with pytest.raises(ValueError, match="no hparam 'gone'"):
        configs.from_dict({"gone": 1}, Example())


@pytest.mark.parametrize(("name", "made"), [
    ("piano_ddsp", "piano_ddsp:PianoDDSP"), ("onsets_frames", "onsets_frames:OnsetsFrames"),
    ("onsets_frames_small", "onsets_frames:HarmonicTranscriber"),
    ("midi2wave", "wavenet:WaveNet"), ("wavenet_spectral", "wavenet:SpectralWaveNet"),
    ("drum_kit", "drums_rnn:DrumsRnn"),
    ("onsets_frames", "onsets_frames.magenta_loss:OnsetsFramesLoss"),
    ("midi2wave", "wavenet.loss:WaveNetLoss")])
def test_hparams_are_the_arguments_of_model_and_loss_with_their_defaults(name, made):
    module, _, class_name = made.partition(":")
    made = getattr(importlib.import_module(f"style_transfer.models.{module}"), class_name)
    hparams, arguments = configs.get(name).hparams, inspect.signature(made).parameters
    shared = {key: value.default for key, value in arguments.items() if hasattr(hparams, key)}
    assert set(arguments) - set(shared) <= {"kwargs", "name", "seed", "roll_features"}
    own = OWN_DEFAULTS.get(name, set()) & set(shared)
    assert len(shared) > 1
    assert {key for key, value in shared.items() if getattr(hparams, key) != value} == own


@pytest.mark.parametrize("name", configs.names())
def test_a_copy_under_another_name_can_do_what_the_original_can(name):
    config = configs.get(name)
    copy = dataclasses.replace(config, name="renamed")
    for capability in ("examples", "training", "generator", "serving", "importer"):
        assert copy.can(capability) == config.can(capability)
    assert copy.weights == config.weights
    if config.can("generator"):
        assert copy.generator().options is config.generator().options
    if config.can("serving"):
        assert copy.serving() is config.serving()
    with pytest.raises(ValueError, match="'renamed' is not trained; choose one of .*piano_ddsp"):
        dataclasses.replace(copy, build_loss=None).require("training")


def test_weights_say_of_which_configuration_they_are(tmp_path):
    from style_transfer import weights

    for name in weights.names():
        assert configs.of_weights(name).name == name
    with pytest.raises(FileNotFoundError, match="no weights"):
        configs.of_weights(str(tmp_path))
