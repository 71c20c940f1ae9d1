"""What the package shows in Python: help, types, notebooks, the reference."""

import inspect
import pathlib
import pydoc

import numpy as np
import pdoc
import pytest

import style_transfer
from style_transfer import audio as audio_lib
from style_transfer import content, strings

PACKAGE = pathlib.Path(style_transfer.__file__).parent
NAMES = ("Audio", "Piano", "estimate_piano", "load", "transcribe", "transfer")


@pytest.fixture(scope="module")
def audio():
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(2400) / 24_000)
    return style_transfer.Audio(tone.astype(np.float32), 24_000)


@pytest.fixture(scope="module")
def piano():
    return style_transfer.Piano(
        style=np.zeros(4, np.float32), f0_hz=strings.equal_temperament_hz().astype(np.float32),
        inharmonicity=np.full(88, 1e-4, np.float32), loudness_db=-20.0, name="an upright")


def test_help_shows_the_api_with_its_types():
    text = pydoc.plain(pydoc.render_doc(style_transfer))
    assert all(name in text for name in NAMES)
    text = "".join(text.split())  # from Python 3.13 on long signatures take several lines
    assert "transfer(content:Any,style:" in text and "->style_transfer.audio.Audio" in text
    assert sorted(style_transfer.__all__) == sorted(NAMES)


def test_types_are_published():
    assert (PACKAGE / "py.typed").is_file() and (PACKAGE / "__init__.pyi").is_file()


def test_audio_saves_itself(audio, tmp_path):
    audio.save(tmp_path / "tone.wav")
    again = audio_lib.load(tmp_path / "tone.wav")
    np.testing.assert_allclose(again.samples, audio.samples, atol=1e-6)


def test_a_notebook_plays_audio_and_shows_a_piano(audio, piano):
    html = audio._repr_html_()
    assert html.startswith('<audio controls src="data:audio/flac;base64,Zkx')  # fLaC
    assert piano._repr_png_().startswith(b"\x89PNG")
    cents = piano.plot().axes[0].lines[1].get_ydata()
    assert np.abs(cents).max() < 30 and cents[87] > cents[40], "stiff strings sound sharp"


def test_the_reference_is_built_and_says_all_of_it(tmp_path):
    # As CONTRIBUTING.md says.
    pdoc.pdoc("style_transfer", "!style_transfer[.].*", output_directory=tmp_path)
    page = (tmp_path / "style_transfer.html").read_text()
    assert all(f'id="{name}"' in page for name in NAMES)
    assert "soft_pedal_db" in page and "Raises" in page


def _public():
    for name in NAMES:
        found = getattr(style_transfer, name)
        if inspect.isclass(found):
            yield from ((f"{name}.{method}", getattr(found, method)) for method, value
                        in vars(found).items() if not method.startswith("_")
                        and (inspect.isfunction(value) or isinstance(value, classmethod)))
        else:
            yield name, found


def test_each_public_argument_and_result_has_a_type():
    untyped = [f"{name}({parameter})" for name, function in _public()
               for parameter, about in inspect.signature(function).parameters.items()
               if parameter != "self" and about.annotation is about.empty]
    untyped += [name for name, function in _public()
                if inspect.signature(function).return_annotation is inspect.Signature.empty]
    assert not untyped


@pytest.mark.parametrize(("call", "message"), [
    (lambda: style_transfer.transfer(np.zeros(9), "a.wav", model=3), "model is taken .* got int"),
    (lambda: style_transfer.transfer("a.mid", np.zeros(9)), "piano is taken .* Piano, got ndarray"),
    (lambda: style_transfer.estimate_piano(None), "piano is taken .* got NoneType"),
    (lambda: content.content_notes(np.zeros(9)), "piece is taken .* got ndarray"),
    (lambda: style_transfer.load(3), "Weights are taken .* got int"),
    (lambda: style_transfer.Piano.load(3), "read from a path, got int"),
    (lambda: style_transfer.Audio("a.wav", 24_000), "array of numbers, got str"),
    (lambda: style_transfer.Audio(np.zeros(9), "24000"), "number of Hz, got str"),
    (lambda: audio_lib.load(np.zeros(9)), "pair of samples and their rate, got ndarray"),
])
def test_wrong_types_are_told_what_is_taken(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_samples_are_taken_with_their_rate():
    tone = 0.5 * np.sin(np.arange(800) / 3)
    stereo = np.stack([tone, -tone], axis=1)
    for samples in (tone, stereo, np.round(tone * 2**15).astype(np.int16)):
        taken = audio_lib.load((samples, 8000))
        assert taken.sample_rate == 8000 and np.abs(taken.samples - tone).max() < 1e-4
    assert content.is_recording((tone, 8000))
    with pytest.raises(ValueError, match=r"shape \[0\], expected floats"):
        audio_lib.load((tone[:0], 8000))
