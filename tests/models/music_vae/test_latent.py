import dataclasses
import pathlib

import keras
import numpy as np
import pytest

from style_transfer import configs
from style_transfer.models import base
from style_transfer.models.drums_rnn import options as drum_options
from style_transfer.models.music_vae import generate, latent
from style_transfer.models.music_vae import options as options_lib
from style_transfer.models.music_vae.net import MusicVae
from style_transfer.symbolic import encodings

note_seq = pytest.importorskip("note_seq")
CONFIG = "cat-mel_2bar_small"
LAYOUT = configs.get(CONFIG).examples.layout


def make_model(seed=0):
    keras.utils.set_random_seed(seed)
    model = MusicVae(z_size=4, enc_rnn_size=(6,), dec_rnn_size=(8,))
    model.build(None)
    for variable in model.trainable_variables:
        variable.assign(keras.random.normal(variable.shape, stddev=0.5))
    return model


@pytest.fixture(scope="module")
def model():
    return make_model()


def melodies(count=6):
    rng = np.random.default_rng(0)
    labels = rng.integers(encodings.MELODY_DEPTH, size=(count, 32, 1)).astype(np.int16)
    labels[:, 0] = 41
    return labels


def test_an_interpolation_begins_and_ends_with_the_reconstructions(model):
    first, last = melodies(2)
    found = latent.interpolate(model, LAYOUT, first, last, 5, temperature=0)
    ends = latent.reconstruct(model, LAYOUT, np.stack([first, last]), temperature=0)
    assert found.shape == (5, 32, 1)
    np.testing.assert_array_equal(found[[0, -1]], ends)
    with pytest.raises(ValueError, match="at least 2"):
        latent.interpolate(model, LAYOUT, first, last, 1)


def test_an_attribute_taken_away_again_changes_nothing(model):
    labels = melodies()
    vector = latent.attribute_vector(model, LAYOUT, labels[:2], labels[2:])
    means = latent.encode(model, LAYOUT, labels)
    np.testing.assert_allclose(vector, means[:2].mean(0) - means[2:].mean(0), atol=1e-6)
    unchanged = latent.with_attribute(model, LAYOUT, labels, vector, 0.0, temperature=0)
    np.testing.assert_array_equal(unchanged,
                                  latent.reconstruct(model, LAYOUT, labels, temperature=0))
    with pytest.raises(ValueError, match="got 0 and 6"):
        latent.attribute_vector(model, LAYOUT, labels[:0], labels)


def test_a_decoder_that_ignores_its_latent_vector_is_found_out():
    deaf = make_model()
    decoder = deaf.decoders[0]
    decoder.z_to_initial_state.kernel.assign(0 * decoder.z_to_initial_state.kernel)
    kernel = np.asarray(decoder.lstms[0].kernel).copy()
    kernel[encodings.MELODY_DEPTH:] = 0
    decoder.lstms[0].kernel.assign(kernel)
    found = latent.latent_usage(deaf, LAYOUT, melodies())
    assert found["accuracy"] == found["shuffled_accuracy"]
    assert found["sampled_accuracy"] == found["shuffled_sampled_accuracy"]
    assert found["event_accuracy"] == found["shuffled_event_accuracy"]
    assert found["bits_per_step"] == pytest.approx(found["shuffled_bits_per_step"])


def test_bits_of_a_step_are_those_of_the_loss(model):
    from style_transfer.symbolic.loss import MusicVaeLoss

    labels = melodies()
    one_hot = encodings.one_hot(labels, LAYOUT).astype(np.float32)
    mu, sigma = model.encode(one_hot)
    terms = MusicVaeLoss().terms(
        {"outputs": one_hot, "lengths": np.full(len(labels), 32)},
        {"logits": model.decode(mu, one_hot), "mu": mu, "sigma": sigma})
    found = latent.latent_usage(model, LAYOUT, labels, batch_size=4)
    assert found["bits_per_step"] == pytest.approx(
        float(np.mean(terms["r_loss"])) / 32 / np.log(2), rel=1e-4)
    assert found["accuracy"] == pytest.approx(float(np.mean(terms["accuracy"])))
    assert found["kl_bits"] == pytest.approx(float(np.mean(terms["kl_bits"])), rel=1e-4)
    assert found["kl_per_dimension"].sum() == pytest.approx(found["kl_bits"])


def test_steps_in_which_nothing_begins_or_ends_are_not_among_the_events(model):
    labels = melodies()
    labels[:, 8:] = latent.NO_EVENT
    mu = latent.encode(model, LAYOUT, labels)
    is_right = latent.decode(model, LAYOUT, mu, temperature=0)[:, :8] == labels[:, :8]
    found = latent.latent_usage(model, LAYOUT, labels, batch_size=4)
    is_event = labels[:, :8] != latent.NO_EVENT
    assert found["sampled_event_accuracy"] == is_right[is_event].sum() / is_event.sum()


def test_dimensions_that_say_nothing_are_not_counted():
    collapsed = make_model()
    for layer, bias in ((collapsed.mu, 0.0), (collapsed.sigma, np.log(np.e - 1))):
        kernel, biases = np.asarray(layer.kernel).copy(), np.asarray(layer.bias).copy()
        kernel[:, :3], biases[:3] = 0, bias  # mean 0, deviation 1
        layer.kernel.assign(kernel)
        layer.bias.assign(biases)
    found = latent.latent_usage(collapsed, LAYOUT, melodies())
    assert found["active_dimensions"] == 1
    np.testing.assert_allclose(found["kl_per_dimension"][:3], 0, atol=1e-5)


def run(model, options, report=lambda line: None):
    return generate.generate(CONFIG, LAYOUT, lambda: model, options, report).paths


def test_samples_are_written_as_midi_with_a_picture(model, tmp_path):
    options = options_lib.Options(output_dir=str(tmp_path), num_outputs=2, temperature=1.0, qpm=90)
    paths = run(model, options)
    assert [pathlib.Path(p).name for p in paths] == [
        f"{CONFIG}-sample-1.mid", f"{CONFIG}-sample-2.mid", f"{CONFIG}-sample.png"]
    sequence = note_seq.midi_file_to_note_sequence(str(paths[0]))
    assert sequence.tempos[0].qpm == pytest.approx(90, abs=0.01)
    assert paths[2].read_bytes().startswith(b"\x89PNG")
    assert {p.name for p in tmp_path.glob("[!.]*")} == {pathlib.Path(p).name for p in paths}
    assert run(model, options) == paths
    others = run(model, dataclasses.replace(options, seed=1))
    assert [path.name for path in others] == [
        f"{CONFIG}-sample-2{end}" for end in ("-1.mid", "-2.mid", ".png")]


@pytest.mark.parametrize(("changes", "message"), [
    ({"mode": "improvise"}, "expected one of sample, reconstruct"),
    ({"mode": "interpolate", "input_midi": ("a.mid",)}, "between two MIDI files, got 1"),
    ({"mode": "interpolate", "input_midi": ("a.mid", "b.mid"), "num_outputs": 1}, "at least 2"),
    ({"mode": "reconstruct"}, "mode=reconstruct needs input_midi"),
    ({"mode": "attribute", "input_midi": ("a.mid",)}, "attribute_with and attribute_without"),
    ({"input_midi": ("a.mid",)}, "not for mode=sample"), ({"num_outputs": 0}, "num_outputs is 0"),
    ({"temperature": -1.0}, "expected at least 0"), ({"qpm": 0.0}, "qpm=0.0 must be more"),
    ({"mode": "reconstruct", "input_midi": ("nowhere.mid",)}, "no file 'nowhere.mid'")])
def test_wrong_options_are_refused(tmp_path, changes, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        options_lib.check(options_lib.Options(output_dir=str(tmp_path), **changes))


@pytest.mark.parametrize(("changes", "message"), [
    ({"primer_drums": "[(36,)]", "primer_midi": "a.mid"}, "not both"),
    ({"primer_drums": "[36]"}, "no primer"), ({"primer_midi": "a.mid"}, "no file 'a.mid'")])
def test_what_drums_rnn_cannot_do_is_refused(tmp_path, changes, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        drum_options.check(drum_options.Options(output_dir=str(tmp_path), **changes))


def test_weights_of_another_model_are_refused(model, monkeypatch):
    from style_transfer import weights

    def load(name, *path):
        config = configs.get(name)
        return base.load_weights(config, *(path or (None,)), config.generator().check_model)

    monkeypatch.setattr(weights, "load", lambda name, package: model)
    assert load(CONFIG, "runs/a") is model
    with pytest.raises(ValueError, match="runs/a is not of flat-mel_16bar: it is a MusicVae"):
        load("flat-mel_16bar", "runs/a")
    with pytest.raises(ValueError, match="is not of drum_kit"):
        load("drum_kit", "runs/a")
    monkeypatch.setattr(weights, "names", lambda: ["piano_ddsp"])
    with pytest.raises(FileNotFoundError, match="train a model .* or import one"):
        load(CONFIG)


def midi(path, bars=2, meter=4, is_drum=False, tempos=(120,)):
    """A scale in quarters; each tempo holds for an equal part."""
    sequence = note_seq.NoteSequence(ticks_per_quarter=220)
    secs = 0.5 * meter * bars
    for index, qpm in enumerate(tempos):
        sequence.tempos.add(qpm=qpm, time=secs * index / len(tempos))
    sequence.time_signatures.add(numerator=meter, denominator=4)
    for beat in range(meter * bars):
        sequence.notes.add(pitch=36 if is_drum else 60 + beat, velocity=80, start_time=beat / 2,
                           end_time=beat / 2 + 0.4, is_drum=is_drum, instrument=9 * is_drum)
    sequence.total_time = secs
    note_seq.note_sequence_to_midi_file(sequence, str(path))
    return str(path)


@pytest.mark.filterwarnings("ignore")  # of magenta and what it imports
def test_pieces_are_reconstructed_and_those_that_give_nothing_are_named(model, tmp_path):
    pytest.importorskip("magenta")
    good = midi(tmp_path / "good.mid")
    bad = [midi(tmp_path / "waltz.mid", meter=3, bars=8), midi(tmp_path / "drums.mid",
                                                               is_drum=True),
           midi(tmp_path / "rubato.mid", tempos=(120, 60, 90, 110, 70, 100))]
    lines = []
    options = options_lib.Options(output_dir=str(tmp_path / "out"), mode="reconstruct",
                                  input_midi=(*bad, good))
    paths = run(model, options, lines.append)
    assert [path.name for path in paths] == [f"{CONFIG}-reconstruct-1.mid",
                                             f"{CONFIG}-reconstruct.png"]
    assert lines == [f"skipped {bad[0]}: meter other than 4/4", f"skipped {bad[1]}: no melody",
                     f"skipped {bad[2]}: no melody long enough between changes of tempo and meter"]
    with pytest.raises(ValueError, match="nothing for .*waltz.mid: meter other than 4/4; .*"
                                         "drums.mid: no melody"):
        run(model, options_lib.Options(output_dir=str(tmp_path / "out"), mode="reconstruct",
                                                input_midi=tuple(bad[:2])))
    found = run(model, options_lib.Options(
        output_dir=str(tmp_path / "more"), mode="attribute", input_midi=(good,),
        attribute_with=(good,),
        attribute_without=(midi(tmp_path / "other.mid", bars=4),), num_outputs=1))
    assert [path.name for path in found] == [f"{CONFIG}-attribute-1.mid",
                                             f"{CONFIG}-attribute.png"]


def test_of_several_sequences_that_with_most_notes_is_taken():
    few, many = np.ones((2, 32, 1), int)
    few[:4], many[:5] = 40, 40
    np.testing.assert_array_equal(generate._most_notes(np.stack([few, many]), LAYOUT), many)


@pytest.mark.parametrize("text", ["[36]", "36", "[(36,)", "[(200,)]", "[('a',)]"])
def test_what_is_no_primer_is_refused(text):
    with pytest.raises(ValueError, match="no primer|outside 0 to 127"):
        drum_options.parse_primer(text)


def test_a_primer_is_a_list_of_sets_of_pitches():
    assert drum_options.parse_primer("[(36, 42), (), (42,)]") == ((36, 42), (), (42,))
