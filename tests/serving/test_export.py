"""An exported model gives what the library gives, from ops that every server has."""

import dataclasses
import io
import json
import shutil
import socket
import subprocess
import time
import types

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from style_transfer import audio, piano_roll
from style_transfer.audio import Audio
from style_transfer.models.piano_ddsp import one_shot
from style_transfer.models.piano_ddsp import playing as generation
from style_transfer.models.piano_ddsp.piano import Piano
from style_transfer.models.piano_ddsp.serve import PianoServing
from style_transfer.serving import export
from style_transfer.serving.client import PIANO_NAMES, Retries, connect
from style_transfer.serving.server import models as models_lib
from style_transfer.serving.server.adapting import piano_arrays
from style_transfer.serving.server.run import Server
from tests import pianos
from tests.commands import run_command

RATE = 24_000
STEP = 1 / 2**15  # of the 16 bit that WAV answers have


@pytest.fixture(scope="module")
def model():
    model = pianos.tiny_model()
    model.weights_name = "tiny"
    return model


@pytest.fixture(scope="module")
def version_dir(model, tmp_path_factory):
    return export.export(model, tmp_path_factory.mktemp("export") / "piano_ddsp", PianoServing)


@pytest.fixture(scope="module")
def served(version_dir):
    return tf.saved_model.load(str(version_dir)).signatures


@pytest.fixture(scope="module")
def clip(model):
    """Four seconds of a piano that is 20 cents sharp, as a WAV file's bytes."""
    piano = pianos.piano(f0_hz=pianos.EQUAL_HZ * np.float32(2 ** (20 / 1200)))
    samples = np.concatenate(list(generation.play(model, piano, pianos.random_notes(30, 4))))
    buffer = io.BytesIO()
    samples = audio.at_loudness(Audio(samples[:4 * RATE], RATE), -23.0).samples
    soundfile.write(buffer, samples, RATE, "PCM_16", format="WAV")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def piece():
    """Random notes with all pedals, longer than a chunk."""
    sequence = piano_roll.to_sequence(pianos.random_notes(40, 5, seed=5))
    rng = np.random.default_rng(2)
    for control in (64, 66, 67):
        for when in np.sort(rng.uniform(0, 5, 8)):
            sequence.control_changes.add(time=when, control_number=control,
                                         control_value=int(rng.integers(0, 128)))
    return sequence


def from_wav(data):
    return audio.load(bytes(data)).samples


def close(made, expected):
    """Equal but for 16 bit and float rounding, and for rounding's effect on long phases."""
    assert made.shape == expected.shape
    error = np.sqrt(np.mean((made - expected) ** 2))
    assert error < STEP + 2e-3 * np.sqrt(np.mean(expected**2)), error


def test_serving_default_plays_what_transfer_plays(served, model, clip, piece):
    outputs = served["serving_default"](style_bytes=tf.constant([clip]),
                                        content_bytes=tf.constant([piece.SerializeToString()]))
    expected = one_shot.transfer(piece, audio.load(clip), model=model, adapt_steps=0)
    close(from_wav(outputs["audio_bytes"].numpy()[0]), expected.samples)


@pytest.fixture(scope="module")
def encoded(served, clip):
    outputs = served["encode_style"](style_bytes=tf.constant([clip]))
    return {name: value.numpy() for name, value in outputs.items()}


def test_encode_style_gives_the_piano_that_the_library_estimates(encoded, model, clip):
    piano = one_shot.estimate_piano(audio.load(clip), model=model, adapt_steps=0)
    expected = piano_arrays(piano, model)
    assert set(encoded) == set(expected) == set(PIANO_NAMES)
    assert np.median(1200 * np.log2(piano.f0_hz / pianos.EQUAL_HZ)) == pytest.approx(20, abs=3)
    for name in PIANO_NAMES:
        np.testing.assert_allclose(encoded[name][0], expected[name], rtol=2e-4, atol=2e-4,
                                   err_msg=name)


def test_play_applies_the_corrections_of_an_adapted_piano(served, model, encoded, piece):
    rng = np.random.default_rng(0)
    inputs = {name: value.copy() for name, value in encoded.items()}
    for name in ("by_key", "by_velocity", "room"):
        inputs[name] = rng.normal(0, 0.2, inputs[name].shape).astype(np.float32)
    outputs = served["play"](content_bytes=tf.constant([piece.SerializeToString()]),
                             **{name: tf.constant(value) for name, value in inputs.items()})
    piano = Piano(style=inputs["style"][0], f0_hz=inputs["f0_hz"][0],
                  inharmonicity=inputs["inharmonicity"][0],
                  loudness_db=float(inputs["loudness_db"][0]), weights="tiny",
                  corrections={name: inputs[name][0] for name in ("by_key", "by_velocity", "room")})
    close(from_wav(outputs["audio_bytes"].numpy()[0]),
          one_shot.transfer(piece, piano, model=model, loudness="clip").samples)


def table_inputs(sequences):
    """Padded note tables of several pieces."""
    tables = [piano_roll.note_table(sequence) for sequence in sequences]
    pedals = [[(control, time, value) for control, curve in
               zip((64, 66, 67), (t.pedals.sustain, t.pedals.sostenuto, t.pedals.soft), strict=True)
               for time, value in zip(*curve, strict=True)] for t in tables]

    def padded(rows, dtype):
        size = max(map(len, rows))
        return tf.constant(np.stack([np.pad(np.asarray(row, dtype), (0, size - len(row)))
                                     for row in rows]))

    return {"note_key": padded([t.key for t in tables], np.int32),
            "note_velocity": padded([t.velocity for t in tables], np.float32),
            "note_onset_secs": padded([t.onset_secs for t in tables], np.float32),
            "note_damped_secs": padded([t.damped_secs for t in tables], np.float32),
            "pedal_control": padded([[c for c, _, _ in p] for p in pedals], np.int32),
            "pedal_secs": padded([[t for _, t, _ in p] for p in pedals], np.float32),
            "pedal_value": padded([[v for _, _, v in p] for p in pedals], np.float32)}


@pytest.mark.slow
def test_transfer_of_tables_and_floats_gives_each_item_its_own_length(served, model, clip, piece):
    short = piano_roll.to_sequence(pianos.notes((40, 0.5, 0.25, 0.5)))
    samples = from_wav(clip)
    padded = np.pad(samples, (0, 5000), constant_values=0.7)
    outputs = served["transfer"](style_audio=tf.constant(np.stack([padded] * 2)),
                                 style_samples=tf.constant([len(samples)] * 2),
                                 sample_rate=tf.constant([RATE] * 2),
                                 **table_inputs([piece, short]))
    expected = [one_shot.transfer(s, audio.load(clip), model=model, adapt_steps=0).samples
                for s in (piece, short)]
    lengths = outputs["num_samples"].numpy()
    assert lengths.tolist() == [len(e) for e in expected] and lengths[0] > lengths[1]
    made = outputs["audio"].numpy()
    for row, length, samples in zip(made, lengths, expected, strict=True):
        assert not row[length:].any()
        # Times of a table are float32 there, and their rounding turns phases a little.
        assert np.corrcoef(row[:length], samples)[0, 1] > 0.99


@pytest.mark.slow
def test_clips_at_other_rates_with_two_channels_play_alike(served, clip, piece):
    other = audio.resample(audio.load(clip), 44_100)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([other.samples] * 2, axis=1), 44_100, "PCM_24", format="WAV")
    data = tf.constant([piece.SerializeToString()])
    one, two = (from_wav(served["serving_default"](style_bytes=tf.constant([style]),
                                                   content_bytes=data)["audio_bytes"].numpy()[0])
                for style in (clip, buffer.getvalue()))
    # The tuning differs by hundredths of a cent, so spectra are compared rather than samples.
    spectra = [np.abs(np.fft.rfft(x[:RATE * 4].reshape(-1, 2400))) for x in (one, two)]
    assert np.corrcoef(*(s.ravel() for s in spectra))[0, 1] > 0.99


def test_only_ops_of_a_stock_server_are_in_the_graph(version_dir):
    ops = export.graph_ops(version_dir)
    assert {"DecodeProtoV2", "FFT", "RFFT", "StatelessWhile", "While"} & ops and len(ops) > 50
    assert not [op for op in ops if not export.is_core_op(op)]
    assert not ops & export.PYTHON_OPS


@pytest.mark.parametrize("op", ["EagerPyFunc", "IO>AudioDecodeWav"])
def test_a_graph_with_another_op_is_refused(tmp_path, op):
    from tensorflow.core.protobuf import saved_model_pb2

    made = saved_model_pb2.SavedModel()
    function = made.meta_graphs.add().graph_def.library.function.add()
    function.signature.name = "inner"
    function.node_def.add(name="a", op=op)
    (tmp_path / export.VERSION_FILE).write_bytes(made.SerializeToString())
    with pytest.raises(ValueError, match=op):
        export.check_ops(tmp_path)


def test_warm_up_requests_fit_the_signatures(version_dir, served):
    logs = [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in
            tf.data.TFRecordDataset(str(version_dir / export.WARMUP_FILE))]
    assert [log.predict_log.request.model_spec.signature_name for log in logs] == [
        "serving_default", "encode_style"]
    for log in logs:
        request = log.predict_log.request
        assert request.model_spec.name == "piano_ddsp"
        served[request.model_spec.signature_name](
            **{name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()})


def test_versions_count_up_and_none_is_overwritten_or_left_half_written(tmp_path, monkeypatch,
                                                                        model):
    for name in ("1", "7", "other"):
        (tmp_path / name).mkdir()
    assert export.next_version(tmp_path) == 8
    with pytest.raises(FileExistsError, match="Version 7"):
        export.export(model, tmp_path, PianoServing, version=7)

    class Empty:
        kept, signatures = (), staticmethod(dict)

    def fail(path):
        assert (path / export.VERSION_FILE).exists()
        raise ValueError("no stock op")

    monkeypatch.setattr(export, "check_ops", fail)
    with pytest.raises(ValueError, match="no stock op"):
        export.export(model, tmp_path, lambda model: Empty())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "7", "other"]


@pytest.fixture(scope="module")
def server(version_dir, served, small_limits):
    limits = dataclasses.replace(small_limits, compute_secs=300.0)
    with pytest.MonkeyPatch.context() as patch:  # loaded once is enough
        patch.setattr(tf.saved_model, "load", lambda path: types.SimpleNamespace(signatures=served))
        found = models_lib.Models(models_lib.from_export(version_dir.parent, limits))
    with Server(found, limits, rest_port=0, grpc_port=0) as running:
        yield running


@pytest.mark.parametrize("protocol", ["rest", pytest.param("grpc", marks=pytest.mark.slow)])
def test_a_piano_adapted_by_the_server_is_played_by_it(server, clip, piece, protocol, model):
    port = server.rest_port if protocol == "rest" else server.grpc_port
    notes = piano_roll.to_sequence(pianos.random_notes(30, 4)).SerializeToString()
    with connect(protocol, f"127.0.0.1:{port}", retries=Retries(0)) as client:
        adapted = client.adapt(clip, notes, steps=2)
        assert np.abs(adapted["by_key"]).max() > 0, "the fit must have changed something"
        one = client.play(adapted, piece.SerializeToString())
        other = client.play(client.encode_style(clip), piece.SerializeToString())
        assert {"adapt", "play"} <= set(server.models.get("piano_ddsp").signature_names)
        with pytest.raises(ValueError, match="between 0 and 10"):
            client.adapt(clip, notes, steps=11)
    assert len(one.samples) == len(other.samples)
    assert np.abs(one.samples - other.samples).max() > 1e-3


def test_the_client_plays_the_piano_that_it_kept(server, clip, piece, tmp_path):
    (tmp_path / "clip.wav").write_bytes(clip)
    piano_roll.save_midi(tmp_path / "piece.mid", piece)

    def made(out, *flags):
        status, said, error = run_command(
            "style_transfer_client", f"--server=127.0.0.1:{server.rest_port}",
            f"--content={tmp_path / 'piece.mid'}", f"--output_dir={tmp_path / out}", *flags)
        assert status == 0, error or said
        [path] = (tmp_path / out).glob("*.wav")
        return audio.load(path).samples

    kept = tmp_path / "grand.piano"
    first = made("a", f"--style={tmp_path / 'clip.wav'}", f"--save_piano={kept}")
    again = made("b", f"--style={kept}")
    assert np.abs(first).max() > 0.01
    close(again, first)


def test_what_cannot_be_played_is_refused_with_its_reason(server, clip, piece):
    silent = io.BytesIO()
    soundfile.write(silent, np.zeros(3 * RATE), RATE, format="WAV")
    short = io.BytesIO()
    soundfile.write(short, np.ones(RATE) / 2, RATE, format="WAV")
    content = piece.SerializeToString()
    with connect("grpc", f"127.0.0.1:{server.grpc_port}") as client:
        for style, message in ((silent.getvalue(), "silent"), (short.getvalue(), "at least 2 s")):
            with pytest.raises(ValueError, match=message):
                client.transfer(style, content)
        piano = client.encode_style(clip)
        with pytest.raises(ValueError, match="NaN"):
            client.play({**piano, "style": piano["style"] * np.nan}, content)
        with pytest.raises(ValueError, match="f0_hz"):
            client.play({**piano, "f0_hz": -piano["f0_hz"]}, content)


@pytest.mark.skipif(not shutil.which("tensorflow_model_server"),
                    reason="tensorflow_model_server is not on the PATH")
def test_tensorflow_model_server_plays_the_same(version_dir, served, clip, piece):
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        ports = {"rest": one.getsockname()[1], "grpc": two.getsockname()[1]}
    process = subprocess.Popen([
        "tensorflow_model_server", f"--port={ports['grpc']}", f"--rest_api_port={ports['rest']}",
        "--model_name=piano_ddsp", f"--model_base_path={version_dir.parent}"])
    try:
        content = piece.SerializeToString()
        expected = from_wav(served["serving_default"](
            style_bytes=tf.constant([clip]),
            content_bytes=tf.constant([content]))["audio_bytes"].numpy()[0])
        for protocol, port in ports.items():
            with connect(protocol, f"127.0.0.1:{port}", deadline_secs=180,
                         retries=Retries(60, 0.5)) as client:
                while client.status() != {1: "AVAILABLE"}:
                    time.sleep(0.5)
                close(client.transfer(clip, content).samples, expected)
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
def test_the_shipped_weights_play_the_same_exported(tmp_path):
    path = export.export(one_shot.load(), tmp_path / "piano_ddsp", PianoServing)
    served = tf.saved_model.load(str(path)).signatures
    style = audio.load("examples/electric_grand.flac", RATE)
    buffer = io.BytesIO()
    soundfile.write(buffer, style.samples, RATE, "PCM_16", format="WAV")
    piece = piano_roll.load_midi("examples/traeumerei.mid")
    outputs = served["serving_default"](style_bytes=tf.constant([buffer.getvalue()]),
                                        content_bytes=tf.constant([piece.SerializeToString()]))
    expected = one_shot.transfer(piece, audio.load(buffer.getvalue()), adapt_steps=0).samples
    made = from_wav(outputs["audio_bytes"].numpy()[0])
    error = 20 * np.log10(np.sqrt(np.mean((made - expected) ** 2) / np.mean(expected**2)))
    assert made.shape == expected.shape and error < -40
    about = json.loads((path / export.WEIGHTS_FOLDER / "config.json").read_text())
    assert about["name"] == one_shot.load().weights_name
