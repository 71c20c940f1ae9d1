"""Exported transcription models hear what the library hears."""

import dataclasses
import io

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from note_seq.protobuf import music_pb2

from style_transfer import audio, weights
from style_transfer.audio import Audio
from style_transfer.graph import arrays
from style_transfer.models.onsets_frames import graph_hearing as hearing
from style_transfer.models.onsets_frames.graph_decoding import decode_as_magenta
from style_transfer.models.onsets_frames.net import OnsetsFrames
from style_transfer.models.onsets_frames.serve import TranscriberServing
from style_transfer.serving import export
from style_transfer.serving.client import Retries, connect
from style_transfer.serving.server import models as models_lib
from style_transfer.serving.server.run import Server
from style_transfer.transcription import (
    Thresholds,
    decoding,
    magenta_decoding,
    transcriber,
    windows,
)
from tests.transcription import tone_transcriber

RATE = 16_000
CLIP = "examples/electric_grand.flac"
LONGEST_SECS = 60.0


@pytest.fixture(scope="module")
def clip(request):
    """Six seconds of a rendered piano at the models' rate."""
    recording = audio.load(request.config.rootpath / CLIP, RATE)
    return Audio(recording.samples[:6 * RATE], RATE)


@pytest.fixture(scope="module")
def model():
    return weights.load("onsets_frames_small")


@pytest.fixture(scope="module")
def version_dir(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "onsets_frames_small"
    return export.export(model, folder, TranscriberServing, max_content_secs=LONGEST_SECS)


@pytest.fixture(scope="module")
def loaded(version_dir):
    return tf.saved_model.load(str(version_dir))


@pytest.fixture(scope="module")
def served(loaded):
    return loaded.signatures


def wav(*clips):
    files = []
    for one in clips:
        buffer = io.BytesIO()
        soundfile.write(buffer, one.samples, one.sample_rate, "FLOAT", format="WAV")
        files.append(buffer.getvalue())
    return tf.constant(files)


def sequences(outputs):
    return [music_pb2.NoteSequence.FromString(data)
            for data in outputs["sequence_bytes"].numpy()]


def test_a_rendered_clip_has_the_notes_that_the_library_hears(served, model, clip):
    expected = transcriber.transcribe_fully(clip, model)
    outputs = served["rolls"](audio_bytes=wav(clip))
    (found,) = sequences(outputs)
    assert len(found.notes) > 20 and found.control_changes
    assert_same(found, expected.sequence)
    assert set(expected.outputs) < set(outputs)
    for name, values in expected.outputs.items():
        np.testing.assert_allclose(outputs[name].numpy()[0], values, atol=1e-3, err_msg=name)


def assert_same(found, expected):
    """Equal, but for times where another order of sums rounds a probability otherwise."""
    def rounded(sequence):
        notes = [(n.pitch, n.velocity) for n in sequence.notes]
        times = [t for n in sequence.notes for t in (n.start_time, n.end_time)]
        pedal = [(c.control_number, c.control_value) for c in sequence.control_changes]
        times += [c.time for c in sequence.control_changes] + [sequence.total_time]
        return notes, pedal, times, sequence.ticks_per_quarter, sequence.tempos[0].qpm

    *one, times, ticks, qpm = rounded(found)
    *other, other_times, other_ticks, other_qpm = rounded(expected)
    assert (one, ticks, qpm) == (other, other_ticks, other_qpm)
    np.testing.assert_allclose(times, other_times, atol=1e-4)


def test_tables_are_those_of_the_sequences_and_padded(served, clip):
    short = Audio(clip.samples[:2 * RATE], RATE)
    outputs = served["serving_default"](audio_bytes=wav(clip, short))
    assert "onset" not in outputs, "rolls are asked for with `rolls`"
    counts = outputs["num_notes"].numpy()
    assert counts[0] > counts[1] > 0
    for row, (sequence, count) in enumerate(zip(sequences(outputs), counts, strict=True)):
        assert len(sequence.notes) == count
        for name, values in (("note_pitch", [n.pitch for n in sequence.notes]),
                             ("note_velocity", [n.velocity for n in sequence.notes]),
                             ("note_onset_secs", [n.start_time for n in sequence.notes]),
                             ("note_release_secs", [n.end_time for n in sequence.notes])):
            column = outputs[name].numpy()[row]
            np.testing.assert_allclose(column[:count], values, rtol=1e-6)
            assert not column[count:].any()
        pedals = outputs["num_pedals"].numpy()[row]
        np.testing.assert_allclose(outputs["pedal_secs"].numpy()[row, :pedals],
                                   [c.time for c in sequence.control_changes], rtol=1e-6)


def test_float_audio_is_heard_as_files_are_and_other_rates_alike(served, clip):
    padded = np.pad(clip.samples, (0, 4000), constant_values=0.3)
    outputs = served["transcribe"](audio=tf.constant(padded[None]), sample_rate=tf.constant([RATE]),
                                   num_samples=tf.constant([len(clip.samples)]))
    (one,) = sequences(outputs)
    (same,) = sequences(served["serving_default"](audio_bytes=wav(clip)))
    assert one == same
    (other,) = sequences(served["serving_default"](audio_bytes=wav(audio.resample(clip, 44_100))))
    close = [note for note in one.notes
             if any(n.pitch == note.pitch and abs(n.start_time - note.start_time) < 0.02
                    for n in other.notes)]
    assert len(close) >= 0.9 * max(len(one.notes), len(other.notes))


def test_silence_has_no_notes(served):
    outputs = served["serving_default"](audio_bytes=wav(Audio(np.zeros(RATE, np.float32), RATE)))
    assert outputs["num_notes"].numpy() == [0] and outputs["note_pitch"].shape == (1, 0)
    (sequence,) = sequences(outputs)
    assert sequence.total_time == pytest.approx(1.02)


def test_what_cannot_be_heard_is_refused_with_its_reason(served, clip):
    long = Audio(np.tile(clip.samples[:RATE], 61), RATE)
    for recording, message in (
            (wav(long), "at most 60 s are heard. Cut it"),
            (wav(Audio(clip.samples[:800], RATE)), "expected at least 0.1 s"),
            (wav(Audio(np.full(RATE, np.nan, np.float32), RATE)), "NaN"),
            (tf.constant([b"RIFF"]), "audio_bytes is not a WAV file")):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            served["serving_default"](audio_bytes=recording)


def test_only_stock_ops_are_in_the_graph_and_it_warms_up(version_dir, served):
    ops = export.graph_ops(version_dir)
    assert {"EncodeProto", "Conv2D", "RFFT", "TopKV2"} < ops
    assert not [op for op in ops if not export.is_core_op(op)] and not ops & export.PYTHON_OPS
    assert set(export.warm_up_requests(served)) == {"serving_default", "rolls"}
    assert (version_dir / export.WARMUP_FILE).stat().st_size > 1000


def random_outputs(rng, frames):
    """Probabilities with everything that decoders tell apart."""
    def bumps(share, width):
        hits = rng.random((frames, 88)) < share
        smooth = [np.convolve(column, np.hanning(width + 2)[1:-1], "same")[:frames]
                  for column in hits.T]
        noise = 0.05 * rng.random((frames, 88))
        return np.clip(np.stack(smooth, 1) * rng.uniform(0.3, 1, (frames, 88)) + noise, 0, 1)

    outputs = {"onset": bumps(0.02, 3), "offset": bumps(0.01, 5), "frame": bumps(0.05, 25),
               "key": bumps(0.05, 17), "velocity": 1.2 * rng.random((frames, 88)) - 0.1,
               "pedal": bumps(0.02, 31)[:, :1]}
    return {name: value.astype(np.float16) for name, value in outputs.items()}


@pytest.mark.parametrize("limits", [Thresholds(), Thresholds(0.6, 0.3, 0.2, 0.7, 0.7, 0.1),
                                    Thresholds(onset=0.999)])
@pytest.mark.parametrize("frames", [1, 3, 400])
def test_both_decoders_make_the_library_s_notes_of_any_probabilities(frames, limits):
    rng = np.random.default_rng(frames)
    outputs = random_outputs(rng, frames)
    tensors = {name: tf.constant(value) for name, value in outputs.items()}
    heard = decoding.hear(tensors, 50.0, limits, arrays)
    expected = decoding.decode(outputs, 50.0, limits.onset, limits.frame, limits.offset,
                               limits.pedal, limits.key, limits.min_note_secs)
    check_heard(heard, expected)
    assert heard.pedal_secs.numpy().tolist() == [c.time for c in expected.control_changes]
    magenta = {name: outputs[name] for name in ("onset", "frame", "offset", "velocity")}
    heard = decode_as_magenta(
        {name: tensors[name] for name in magenta}, 31.25, limits)
    check_heard(heard, magenta_decoding.decode(magenta, 31.25, limits.onset, limits.frame,
                                               min_note_secs=limits.min_note_secs))
    if frames == 400 and limits == Thresholds():
        assert len(expected.notes) > 100 and len(heard.pitch) > 100


def check_heard(heard, expected):
    assert heard.pitch.numpy().tolist() == [n.pitch for n in expected.notes]
    assert heard.velocity.numpy().tolist() == [n.velocity for n in expected.notes]
    assert heard.onset_secs.numpy().tolist() == [n.start_time for n in expected.notes]
    assert heard.release_secs.numpy().tolist() == [n.end_time for n in expected.notes]
    assert heard.total_secs.numpy() == expected.total_time


def test_onsets_frames_is_served_with_magentas_decoder(clip):
    keras.utils.set_random_seed(3)
    small = {name: 8 for name in ("onset_lstm_units", "offset_lstm_units", "combined_lstm_units",
                                  "fc_size")}
    model = OnsetsFrames(spec_n_bins=40, num_filters=(4, 4, 8), **small)
    model.build(None)
    for dense in (model.onset_probs, model.frame_probs):  # some of it is heard
        dense.kernel.assign(4 * dense.kernel)
    outputs = TranscriberServing(model).rolls(wav(clip))
    expected = transcriber.transcribe_fully(clip, model)
    assert len(expected.sequence.notes) > 20
    (found,) = sequences(outputs)
    assert_same(found, expected.sequence)
    np.testing.assert_allclose(outputs["frame"].numpy()[0], expected.outputs["frame"], atol=2e-3)


def test_windows_do_not_show(clip):
    model = tone_transcriber.make()
    samples = clip.samples[:4 * RATE]
    found = hearing.Listener(model, 60, window_secs=1.6)(tf.constant(samples), tf.constant(RATE))
    gain = 10 ** ((transcriber.LEVEL_DB - transcriber.loudest_level(samples)) / 20)
    expected = windows.probabilities(model, samples, window_secs=5.0, gain=gain)
    assert expected["frame"].max() > 0.9
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=2e-3, err_msg=name)


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_the_embedded_server_and_the_client_transcribe(loaded, model, clip, small_limits, protocol,
                                                       version_dir, monkeypatch):
    monkeypatch.setattr(tf.saved_model, "load", lambda path: loaded)  # once is enough
    limits = dataclasses.replace(small_limits, compute_secs=300.0, content_secs=8.0)
    models = models_lib.Models(models_lib.from_export(version_dir.parent, limits))
    with Server(models, limits, rest_port=0, grpc_port=0) as server:
        port = server.rest_port if protocol == "rest" else server.grpc_port
        with connect(protocol, f"127.0.0.1:{port}", model="onsets_frames_small",
                     retries=Retries(0)) as client:
            heard = client.transcribe(clip)
            with pytest.raises(ValueError, match="recording lasts 12 s; at most 8 s"):
                client.transcribe(Audio(np.tile(clip.samples, 2), RATE))
    assert "adapt" not in models.get("onsets_frames_small").signature_names
    expected = transcriber.transcribe(clip, model)
    # The clip is sent with 16 bits, so that notes of one moment may change places.
    found, expected = (np.array(sorted((n.pitch, n.start_time) for n in one.notes))
                       for one in (heard, expected))
    np.testing.assert_allclose(found, expected, atol=1e-3)
