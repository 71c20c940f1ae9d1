"""Spectrogram, labels, decoders and metrics equal Magenta's on its own data."""

import json
import pathlib
import types

import numpy as np
import pytest
import soundfile

from style_transfer import piano_roll
from style_transfer.models.onsets_frames import net as onsets_frames
from style_transfer.signal import mel
from style_transfer.transcription import labels, magenta_decoding, metrics

note_seq = pytest.importorskip("note_seq")
FIXTURE = pathlib.Path(__file__).parent / "fixtures" / "onsets_frames_labels"
GOLDEN = dict(np.load(FIXTURE / "io.npz"))
SPEC = json.loads((FIXTURE / "spec.json").read_text())
RESULTS = SPEC["results"]
FPS = 16000 / 512
MAGENTAS_NAMES = {"frame": "active", "onset": "onsets", "offset": "offsets",
                  "velocity": "velocities", "frame_weight": "weights"}


def sequence(name):
    return note_seq.NoteSequence.FromString((FIXTURE / f"{name}.pb").read_bytes())


# --- Spectrogram ------------------------------------------------------------------------------


def samples_of(int16):
    return int16.astype(np.float32) / 32767


def test_spectrogram_equals_magentas():
    db = np.asarray(onsets_frames.OnsetsFrames().spectrogram(samples_of(GOLDEN["mel_wav_int16"])
                                                             [None]))[0]
    assert db.shape == GOLDEN["mel_log"].shape
    np.testing.assert_allclose(db, GOLDEN["mel_log"], atol=1e-2)


def test_power_equals_magentas():
    matrix = mel.matrix(16000, 2048, 229, 30.0, htk=True)
    np.testing.assert_allclose(matrix.T, GOLDEN["mel_basis_htk"], atol=1e-8)
    power = onsets_frames.power_mel(samples_of(GOLDEN["mel_wav_int16"])[None], matrix, 512)[0]
    np.testing.assert_allclose(power, GOLDEN["mel_power"], rtol=1e-4,
                               atol=1e-7 * GOLDEN["mel_power"].max())


def example():
    """Audio and sequence of Magenta's serialized training example."""
    import io

    import tensorflow as tf

    parsed = tf.train.Example.FromString((FIXTURE / "example_e2e.pb").read_bytes())
    features = {name: feature.bytes_list.value for name, feature in parsed.features.feature.items()}
    int16, rate = soundfile.read(io.BytesIO(features["audio"][0]), dtype="int16")
    assert rate == 16000
    return samples_of(int16), note_seq.NoteSequence.FromString(features["sequence"][0])


def test_an_example_of_magentas_becomes_its_spectrogram_and_labels():
    audio, notes = example()
    db = np.asarray(onsets_frames.OnsetsFrames().spectrogram(audio[None]))[0]
    length = int(GOLDEN["e2e_length"][0])
    np.testing.assert_allclose(db[:length], GOLDEN["e2e_spec"][0, :length, :, 0], atol=1e-2)
    ours = labels.magenta_labels(labels.sustained(notes), 0.0, length, FPS,
                                 max_velocity=loudest(notes))
    for name, theirs in {"frame": "labels", "onset": "onsets", "offset": "offsets",
                         "velocity": "velocities", "frame_weight": "label_weights"}.items():
        np.testing.assert_array_equal(ours[name], GOLDEN[f"e2e_{theirs}"][0, :length], name)


# --- Labels -----------------------------------------------------------------------------------


def loudest(notes):
    return max(note.velocity for note in notes.notes)


@pytest.mark.parametrize("name", "abc")
def test_pedalled_notes_equal_magentas(name):
    assert labels.sustained(sequence(f"seq_{name}")) == sequence(f"seq_{name}_sustained")


@pytest.mark.parametrize("name", "abc")
def test_labels_equal_magentas(name):
    notes = sequence(f"seq_{name}_sustained")
    ours = labels.magenta_labels(notes, 0.0, len(GOLDEN[f"{name}_active"]), FPS,
                                 max_velocity=int(GOLDEN[f"{name}_velocity_range"][1]))
    for label, magentas in MAGENTAS_NAMES.items():
        np.testing.assert_array_equal(ours[label], GOLDEN[f"{name}_{magentas}"], label)


def test_labels_past_the_end_are_what_magenta_pads_with():
    import tensorflow as tf
    from magenta.models.onsets_frames_transcription import data

    rolls = {name: GOLDEN[f"c_{name}"].astype(np.float32) for name in MAGENTAS_NAMES.values()}
    length = len(rolls["active"]) + 30
    hparams = types.SimpleNamespace(
        spec_hop_length=512, sample_rate=16000, truncated_length_secs=0, drum_data_map="",
        max_expected_train_example_len=length, spec_type="mel", spec_n_bins=229)
    tensors = data.InputTensors(
        spec=tf.zeros((length, 229)), spectrogram_hash=tf.constant(0), labels=rolls["active"],
        label_weights=rolls["weights"], length=length, onsets=rolls["onsets"],
        offsets=rolls["offsets"], velocities=rolls["velocities"], sequence_id=tf.constant(""),
        note_sequence=tf.constant(""))
    _, theirs = data.input_tensors_to_model_input(tensors, hparams, is_training=True)
    ours = labels.magenta_labels(sequence("seq_c_sustained"), 0.0, length, FPS,
                                 max_velocity=int(GOLDEN["c_velocity_range"][1]))
    for name, magentas in {"frame": "labels", "onset": "onsets", "offset": "offsets",
                           "velocity": "velocities", "frame_weight": "label_weights"}.items():
        np.testing.assert_array_equal(ours[name], getattr(theirs, magentas), name)


@pytest.mark.parametrize(("kind", "rate", "options", "compared"), [
    ("window", FPS, {"onset_mode": "window", "offset_length": 0}, ("frame", "onset", "offset")),
    # Its frames have blanks before repeated notes, which no configuration of Magenta's asks for.
    ("alt", 100.0, {"onset_length": 50, "offset_length": 20, "onset_delay": 10,
                    "min_frame_occupancy_for_label": 0.3}, ("onset", "offset"))])
@pytest.mark.parametrize("name", "abc")
def test_labels_with_other_settings_equal_magentas(name, kind, rate, options, compared):
    ours = labels.magenta_labels(sequence(f"seq_{name}_sustained"), 0.0,
                                 len(GOLDEN[f"{name}_{kind}_active"]), rate, **options)
    for label in compared:
        golden = GOLDEN[f"{name}_{kind}_{MAGENTAS_NAMES[label]}"]
        np.testing.assert_array_equal(ours[label], golden, label)


# --- Decoders ---------------------------------------------------------------------------------

PROBABILITIES = {name: GOLDEN[f"dec_{name}_probs"] for name in ("onset", "frame", "offset")}
PROBABILITIES["velocity"] = GOLDEN["dec_velocity_values"]


@pytest.mark.parametrize(("golden", "count", "options"), [
    ("default", "default", {}),
    ("onsets_only", "onsets_only", {"onsets_only": True}),
    ("viterbi", "viterbi", {"viterbi_alpha": 0.5}),
    ("with_offsets", "with_offsets", {"offset_threshold": 0.5}),
    ("frames_only_min50ms", "frames_only", {"onset_threshold": 0.0, "min_note_secs": 0.05,
                                            "default_velocity": 0})])
def test_decoded_notes_equal_magentas(golden, count, options):
    decoded = magenta_decoding.decode(PROBABILITIES, FPS, **options)
    assert len(decoded.notes) == RESULTS["decode_note_counts"][count]
    assert decoded == sequence(f"decode_{golden}")


def test_viterbi_roll_equals_magentas():
    roll = magenta_decoding.viterbi_roll(PROBABILITIES["frame"], PROBABILITIES["onset"], 0.5)
    np.testing.assert_array_equal(roll, GOLDEN["dec_viterbi_roll"])


def test_notes_without_onsets_can_be_heard():
    decoded = magenta_decoding.decode(PROBABILITIES, FPS, onset_threshold=0.0)
    assert {note.velocity for note in decoded.notes} == {70}


@pytest.mark.parametrize(("option", "low", "high"), [
    ("onset_threshold", 0.1, 0.9), ("frame_threshold", 0.1, 0.9),
    ("offset_threshold", 0.9, 0.1), ("min_note_secs", 0.0, 0.2)])
def test_stricter_settings_leave_less_sound(option, low, high):
    def sound_secs(value):
        decoded = magenta_decoding.decode(PROBABILITIES, FPS, **{option: value})
        return sum(note.end_time - note.start_time for note in decoded.notes)

    assert sound_secs(high) < sound_secs(low)


@pytest.mark.parametrize(("change", "options", "message"), [
    ({"frame": None}, {}, "no 'frame', only offset, onset, velocity"),
    ({"onset": np.zeros((4, 87))}, {}, r"'onset' has the shape \(4, 87\), expected \(frames, 88\)"),
    ({"frame": np.zeros((0, 88))}, {}, "no frames"),
    ({}, {"onsets_only": True, "onset_threshold": 0}, "onset_threshold above 0")])
def test_unusable_outputs_and_settings_are_refused(change, options, message):
    outputs = {name: roll for name, roll in {**PROBABILITIES, **change}.items() if roll is not None}
    with pytest.raises(ValueError, match=message):
        magenta_decoding.decode(outputs, FPS, **options)


# --- Metrics ----------------------------------------------------------------------------------


def check_scores(reference, estimate, golden):
    """`golden` is precision, recall and F1 by Magenta's names."""
    ours = metrics.score_notes(*map(piano_roll.note_table, (reference, estimate)))
    found = [ours[f"note_{name}"] for name in ("precision", "recall", "f1")]
    np.testing.assert_allclose(found, golden["note"], atol=1e-6)
    for name in ("note_with_offsets", "note_with_offsets_velocity"):
        assert ours[f"{name}_f1"] == pytest.approx(golden[name][2], abs=1e-6), name


def test_scores_of_notes_equal_magentas():
    golden = {name: values[:3] for name, values in RESULTS["metrics_pair"].items()
              if name.startswith("note")}
    check_scores(sequence("metric_ref"), sequence("metric_est"), golden)


@pytest.fixture(scope="module")
def decoded():
    outputs = {"onset": GOLDEN["met_onset_probs"], "frame": GOLDEN["met_frame_probs"],
               "velocity": GOLDEN["met_velocity_values"]}
    return magenta_decoding.decode(outputs, FPS)


def magentas(name):
    golden = RESULTS["metrics_calculate_metrics"]
    return [golden[f"{name}_{score}"][0] for score in ("precision", "recall", "f1_score")]


def test_scores_of_decoded_probabilities_equal_magentas(decoded):
    names = ("note", "note_with_offsets", "note_with_offsets_velocity")
    check_scores(sequence("seq_c_sustained"), decoded, {name: magentas(name) for name in names})


def test_scores_of_decoded_frames_equal_magentas(decoded):
    roll = note_seq.sequences_lib.sequence_to_pianoroll(
        decoded, frames_per_second=FPS, min_pitch=21, max_pitch=108).active
    labelled = GOLDEN["c_active"] > 0
    heard = np.pad(roll, ((0, len(labelled)), (0, 0)))[:len(labelled)] > 0
    np.testing.assert_allclose(metrics.frame_scores(labelled, heard), magentas("frame"), atol=1e-6)
