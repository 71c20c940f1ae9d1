"""Exported WaveNets play what the library plays, from ops that every server has."""

import dataclasses
import functools
import io
import pathlib
import types

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf

from style_transfer import audio as audio_lib
from style_transfer import configs, piano_roll
from style_transfer.audio import Audio
from style_transfer.configs import from_dict
from style_transfer.models.piano_ddsp.serve import PianoServing
from style_transfer.models.wavenet import graph_rendering as rendering
from style_transfer.models.wavenet import graph_sampling as sampling
from style_transfer.models.wavenet import inputs, mixtures
from style_transfer.models.wavenet import serve as wavenets
from style_transfer.models.wavenet.engine import generation
from style_transfer.models.wavenet.net import WaveNet
from style_transfer.models.wavenet.spectral_wavenet import SpectralWaveNet
from style_transfer.serving import export
from style_transfer.serving.client import Retries, connect
from style_transfer.serving.server import models as models_lib
from style_transfer.serving.server.run import Server
from tests import pianos
from tests.pipelines import tiny_pairs

RATE = 1000
SIZES = {"sample_rate": RATE, "num_layers": 4, "dilation_cycle": 3, "residual_channels": 6,
         "skip_channels": 20, "hidden_channels": 30, "num_mixtures": 3, "context_layers": 2,
         "context_channels": 8, "upsampling": "linear"}
CASES = {
    "one layer": {"num_layers": 1, "upsampling": "repeat"},
    "three taps": {"kernel_size": 3, "upsampling": "transposed"},
    "mu-law": {"output": "mulaw", "num_pianos": 4},
    "predicted and excited": {"predictor_taps": 12, "predictor_partials": 6, "global_size": 3,
                              "num_pianos": 2, "excitation_partials": 2},
    "codes": {"bottleneck": "argmax", "bottleneck_hop": 5},
}
FRAMES = 85
STEP = 1 / 2**15  # of the 16 bit that WAV answers have


@pytest.fixture(scope="module", autouse=True)
def samplers():
    """TensorFlow complains of functions that outlive it."""
    yield
    sampler_of.cache_clear()


def disturbed(model):
    """A built model whose weights are no zeros, which would hide mistakes."""
    model.build(None)
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:
        noise = rng.normal(0, 0.15, variable.shape).astype(np.float32)
        variable.assign(np.asarray(variable) + noise)
    model.weights_name = "tiny"
    return model


def wavenet(**options):
    keras.utils.set_random_seed(3)
    return disturbed(WaveNet(**{**SIZES, **options}))


def rolls(batch, frames=FRAMES, seed=0):
    rng = np.random.default_rng(seed)
    shape = (batch, frames, 176)
    values = rng.uniform(size=shape) * (rng.uniform(size=shape) < 0.05)
    values[:, :, :88] *= (np.arange(frames) % 24 == 3)[:, None]  # notes ring most of the time
    return values.astype(np.float32)


def told(model, batch=1):
    """What a model is told of pianos, by name."""
    found = {}
    if model.global_size:
        found["style"] = np.random.default_rng(4).normal(size=(batch, model.global_size))
    if model.num_pianos:
        found["piano_id"] = np.arange(batch) % model.num_pianos
    return {name: value.astype("i" if name == "piano_id" else "f") for name, value in found.items()}


class Given:
    """A generator of random numbers that gives those of a graph."""

    def __init__(self, values):
        self._values = np.asarray(values)

    def random(self, shape, dtype):
        given, self._values = self._values[:shape[0]], self._values[shape[0]:]
        return given.astype(dtype)


def by_library(monkeypatch, model, roll, seed, temperatures, piano, **past):
    """What `generation.generate` makes of one roll with a request's random numbers."""
    temperature, sustain = temperatures
    count = sampling.Sampler(model).windows.frames * model.hop
    blocks = -(-(roll.shape[0] + model.lead_frames) * model.hop // count)
    draws = np.concatenate([sampling.uniforms(tf.constant([seed]), block, count)[0]
                            for block in range(blocks)])
    monkeypatch.setattr(np.random, "default_rng", lambda _: Given(draws))
    monkeypatch.setattr(generation, "piano_of", lambda model, style: style)
    found = generation.generate(model, roll[None], 0, temperature, sustain, **past,
                                lead_frames=model.lead_frames,
                                style={name: value[None] for name, value in piano.items()})[0]
    monkeypatch.undo()
    return found


def assert_same(made, expected):
    """Equal, but where a draw lies on the edge of two levels to the last bit, and what follows."""
    assert made.shape == expected.shape and np.std(expected) > 1e-3
    assert np.mean(np.abs(made - expected) > 1e-3) < 0.02


@functools.lru_cache
def sampler_of(case):
    """A model, its sampler and that as a traced function of what a request says."""
    model = wavenet(**CASES[case])
    sampler = sampling.Sampler(model)
    kinds = {"style": tf.float32, "piano_id": tf.int32}
    piano = {name: tf.TensorSpec([None, *value.shape[1:]], kinds[name], name=name)
             for name, value in told(model).items()}

    def sampled(rolls, num_frames, seed, temperature, sustain_temperature, **piano):
        return sampler(rolls, num_frames, piano, seed, temperature, sustain_temperature)

    count, share = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None])
    return model, sampler, tf.function(sampled, autograph=False).get_concrete_function(
        tf.TensorSpec([None, None, 176]), count, count, share, share, **piano)


@pytest.mark.parametrize("case", [
    pytest.param(case, marks=pytest.mark.slow) if case in ("one layer", "three taps") else case
    for case in CASES])
def test_batches_in_blocks_are_sampled_as_the_library_samples_each_whole_roll(case, monkeypatch):
    model, sampler, function = sampler_of(case)
    assert sampler.windows.size <= FRAMES - 15, "or silence would follow"
    given, piano, seeds = rolls(2), told(model, 2), [3, 4]
    temperatures, sustained = [0.8, 0.0], [0.5, 0.9]
    shorter = FRAMES - 15
    made = function(rolls=given, num_frames=tf.constant([FRAMES, shorter]),
                    seed=tf.constant(seeds), temperature=tf.constant(temperatures),
                    sustain_temperature=tf.constant(sustained),
                    **{name: tf.constant(value) for name, value in piano.items()}).numpy()
    ops = {node.op for part in function.graph.as_graph_def().library.function
           for node in part.node_def}
    assert "While" in ops or "StatelessWhile" in ops
    called = {part.signature.name for part in function.graph.as_graph_def().library.function}
    assert all(export.is_core_op(op) for op in ops - called) and not ops & export.PYTHON_OPS
    for item, frames in enumerate((FRAMES, shorter)):
        own = made[item, :frames * model.hop]
        request = (monkeypatch, model, given[item, :frames], seeds[item],
                   (temperatures[item], sustained[item]),
                   {name: value[item] for name, value in piano.items()})
        assert_same(own, by_library(*request))
        drawn = by_library(*request, primer=own[None], teacher_forced=True)
        assert np.mean(np.abs(drawn - own) > 2.5 / mixtures.NUM_LEVELS) < 5e-3


def test_what_is_shorter_than_a_window_goes_on_in_silence(monkeypatch):
    model, sampler, function = sampler_of("codes")
    given = rolls(1, 7)
    made = function(rolls=given, num_frames=tf.constant([7]), seed=tf.constant([5]),
                    temperature=tf.constant([1.0]), sustain_temperature=tf.constant([0.7])).numpy()
    lead = model.lead_frames
    played = int(sampler.windows.played(tf.constant(7 + lead)))
    silence = np.zeros((played - 7 - lead, 176), np.float32)
    expected = by_library(monkeypatch, model, np.concatenate([given[0], silence]), 5,
                          (1.0, 0.7), {})
    assert_same(made[0], expected[:7 * model.hop])


def sequence(*rows):
    return piano_roll.to_sequence(pianos.notes(*rows)).SerializeToString()


PIECES = (sequence((40, 0.7, 0.05, 0.3), (44, 0.5, 0.1, 0.2)), sequence((50, 0.6, 0.0, 0.1)))


def from_wav(data):
    return soundfile.read(io.BytesIO(bytes(data)), dtype="float32")[0]


@pytest.fixture(scope="module")
def model():
    return wavenet(num_layers=3, predictor_taps=8, predictor_partials=4, global_size=8)


@pytest.fixture(scope="module")
def encoder():
    """Whose style vectors tell of pianos."""
    model = pianos.tiny_model()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "style_model", lambda: model)
        yield model


@pytest.fixture(scope="module")
def version_dir(model, encoder, tmp_path_factory):
    return export.export(model, tmp_path_factory.mktemp("export") / "midi2wave",
                         wavenets.WaveNetServing)


@pytest.fixture(scope="module")
def served(version_dir):
    return tf.saved_model.load(str(version_dir)).signatures


@pytest.fixture(scope="module")
def clip():
    """Three seconds of notes, at another rate than the models'."""
    return tiny_pairs.sound(tiny_pairs.table(3.0), 3.0)


def wav(clip):
    buffer = io.BytesIO()
    soundfile.write(buffer, clip.samples, clip.sample_rate, "FLOAT", format="WAV")
    return buffer.getvalue()


def test_exported_notes_are_played_as_their_rolls_are_by_the_library(served, model, clip,
                                                                    monkeypatch):
    how = {"seed": tf.constant([7, 8]), "temperature": tf.constant([0.9, 1.1]),
           "sustain_temperature": tf.constant([0.5, 0.8])}
    clips = tf.constant([wav(clip)] * 2)
    style = served["encode_style"](style_bytes=clips)["style"].numpy()
    audio = served["serving_default"](content_bytes=tf.constant(PIECES), style_bytes=clips,
                                      **how)["audio_bytes"].numpy()
    for item, piece in enumerate(PIECES):
        table = piano_roll.note_table(piano_roll.load_midi(piece))
        frames = inputs.num_frames(round((table.end_secs + piano_roll.TAIL_SECS) * RATE), model.hop)
        roll = piano_roll.keys_roll(table, 0, frames, model.roll_rate)
        expected = by_library(monkeypatch, model, roll, 7 + item, (
            how["temperature"][item].numpy(), how["sustain_temperature"][item].numpy()),
                              {"style": style[item]})
        made = from_wav(audio[item])
        assert made.shape == expected.shape
        assert np.mean(np.abs(made - np.clip(expected, -1, 1)) > STEP + 2e-4) < 0.02
    second = {"roll": tf.constant(roll[None]), "style": style[1:],
              **{name: value[1:] for name, value in how.items()}}
    alone = served["generate"](**second)["audio"].numpy()
    assert_same(alone[0], expected)
    other = served["generate"](**{**second, "seed": tf.constant([9])})["audio"].numpy()
    assert np.mean(np.abs(other - alone) > 1e-3) > 0.1


def test_a_piano_is_told_by_its_recording_as_the_library_tells_it(served, clip):
    heard = audio_lib.at_loudness(audio_lib.resample(clip, RATE), inputs.STYLE_LEVEL_DB)
    expected = inputs.style_vectors([heard.samples], RATE)
    found = served["encode_style"](style_bytes=tf.constant([wav(clip)]))["style"].numpy()
    assert np.abs(found - expected).max() < 0.05 * np.std(expected)


def test_requests_that_cannot_be_played_are_refused(served, clip):
    good = {"roll": tf.constant(rolls(1, 4)), "seed": tf.constant([0]),
            "temperature": tf.constant([1.0]), "sustain_temperature": tf.constant([1.0]),
            "style": tf.zeros([1, 8])}
    longest = int((wavenets.MAX_SAMPLES / RATE + piano_roll.TAIL_SECS) * 250)
    for name, value, message in (
            ("temperature", [-1.0], "temperature must lie between"),
            ("sustain_temperature", [101.0], "temperature must lie between"),
            ("roll", np.full((1, 4, 176), np.nan), "velocities between 0 and 1"),
            ("roll", np.zeros((1, longest + 1, 176)), f"expected 1 to {longest}"),
            ("style", np.full((1, 8), np.inf), "NaN or infinite"),
            ("seed", [1, 2], "the same number of items")):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            served["generate"](**{**good, name: tf.constant(value, good[name].dtype)})
    how = {name: good[name] for name in ("seed", "temperature", "sustain_temperature")}
    silence = wav(Audio(np.zeros(3 * RATE, np.float32), 8000))
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least 2 s"):
        served["serving_default"](content_bytes=tf.constant(PIECES[:1]), **how,
                                  style_bytes=tf.constant([silence]))
    long = sequence((40, 0.7, 0.0, wavenets.MAX_SAMPLES / RATE + 1))
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 240 s are played"):
        served["serving_default"](content_bytes=tf.constant([long]), **how,
                                  style_bytes=tf.constant([wav(clip)]))


@functools.lru_cache
def spectral():
    keras.utils.set_random_seed(0)
    return disturbed(SpectralWaveNet(
        sample_rate=tiny_pairs.RATE, num_layers=2, dilation_cycle=3, channels=4, hidden_channels=4,
        context_layers=2, context_channels=4, style_size=4, excitation_partials=2))


@pytest.fixture(scope="module")
def spectral_dir(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        # Windows that a piece of a second has several of.
        patch.setattr(rendering.Renderer.__init__, "__defaults__", (40,))
        return export.export(spectral(), tmp_path_factory.mktemp("export") / "wavenet_spectral",
                             wavenets.SpectralServing)


@pytest.fixture(scope="module")
def spectral_served(spectral_dir):
    return tf.saved_model.load(str(spectral_dir)).signatures


def test_spectral_wavenets_play_in_windows_what_the_library_plays_at_once(spectral_served, clip):
    model, served = spectral(), spectral_served
    heard = audio_lib.at_loudness(clip, inputs.STYLE_LEVEL_DB).samples
    given = rolls(2, 150)
    whole = np.asarray(model({"roll": piano_roll.decayed(given, 250),
                              "style_audio": np.stack([heard] * 2)}))
    parts = served["transfer"](style_audio=np.pad(clip.samples, (0, 50))[None].repeat(2, axis=0),
                               style_samples=tf.constant([len(clip.samples)] * 2),
                               sample_rate=tf.constant([clip.sample_rate] * 2),
                               roll=tf.constant(given))["audio"].numpy()
    assert parts.shape == whole.shape
    assert np.abs(parts - whole).max() < 1e-4 * np.abs(whole).max()
    outputs = served["serving_default"](style_bytes=tf.constant([wav(clip)] * 2),
                                        content_bytes=tf.constant(PIECES))
    for piece, data in zip(PIECES, outputs["audio_bytes"].numpy(), strict=True):
        table = piano_roll.note_table(piano_roll.load_midi(piece))
        secs = table.end_secs + piano_roll.TAIL_SECS
        frames = inputs.num_frames(round(secs * model.sample_rate), model.hop)
        roll = piano_roll.keys_roll(table, 0, frames, model.roll_rate, decays=True)[None]
        expected = np.clip(np.asarray(model({"roll": roll, "style_audio": heard[None]}))[0], -1, 1)
        assert np.abs(from_wav(data) - expected).max() < STEP + 1e-4


@pytest.mark.parametrize("name", [name for name in configs.names()
                                  if "wave" in name])
def test_every_configuration_of_the_family_can_be_exported(name):
    config = configs.get(name)
    model = config.build_model(from_dict({"num_layers": 1}, config.hparams))
    model.build(None)
    kind = wavenets.SpectralServing if name == "wavenet_spectral" else wavenets.WaveNetServing
    assert config.serving() is kind
    kind(model)
    assert kind.longest_secs(model) == (300 if kind is wavenets.SpectralServing else
                                          240_000 / model.sample_rate)


def test_exports_hold_stock_ops_and_warm_up_requests(version_dir, spectral_dir, served):
    from tensorflow_serving.apis import prediction_log_pb2

    for folder, signatures in ((version_dir, ["serving_default", "encode_style"]),
                               (spectral_dir, ["serving_default"])):
        export.check_ops(folder)
        logs = [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in
                tf.data.TFRecordDataset(str(folder / export.WARMUP_FILE))]
        requests = [log.predict_log.request for log in logs]
        assert [request.model_spec.signature_name for request in requests] == signatures
        assert requests[0].model_spec.name == folder.parent.name
        if folder == version_dir:
            served["serving_default"](**{name: tf.constant(tf.make_ndarray(value)) for name, value
                                         in requests[0].inputs.items()})


@pytest.fixture(scope="module")
def server(version_dir, spectral_dir, served, spectral_served, small_limits):
    found = {version_dir: served, spectral_dir: spectral_served}
    limits = dataclasses.replace(small_limits, compute_secs=100.0)
    with pytest.MonkeyPatch.context() as patch:  # loaded once is enough
        patch.setattr(tf.saved_model, "load", lambda path: types.SimpleNamespace(
            signatures=found[pathlib.Path(path)]))
        models = models_lib.Models([model for folder in found
                                    for model in models_lib.from_export(folder.parent, limits)])
    with Server(models, limits, rest_port=0, grpc_port=0) as running:
        yield running


def test_the_embedded_server_and_its_client_play_them(server, clip):
    rest, grpc = f"127.0.0.1:{server.rest_port}", f"127.0.0.1:{server.grpc_port}"
    with connect("grpc", grpc, model="midi2wave", retries=Retries(0)) as client:
        one = client.generate(PIECES[1], seed=1, style=wav(clip))
        with pytest.raises(ValueError, match="inputs style_bytes .*are missing"):
            client.generate(PIECES[1])
        with pytest.raises(ValueError, match="at most 60 s are"):
            client.generate(sequence((40, 0.7, 0.0, 61.0)), style=wav(clip))
    with connect("rest", rest, model="midi2wave", retries=Retries(0)) as client:
        same, other = (client.generate(PIECES[1], seed=seed, style=wav(clip)) for seed in (1, 2))
        floats = client.predict("generate", {
            "roll": rolls(1, 5), "seed": np.zeros(1, np.int32),
            "temperature": np.ones(1, np.float32), "sustain_temperature": np.ones(1, np.float32),
            "style": np.zeros((1, 8), np.float32)})
    with connect("rest", rest, model="wavenet_spectral", retries=Retries(0)) as client:
        played = client.transfer(wav(clip), PIECES[1])
    assert one.sample_rate == RATE and len(one.samples) == 275 * 4
    assert played.sample_rate == clip.sample_rate and len(played.samples) == 275 * 32
    np.testing.assert_array_equal(one.samples, same.samples)
    assert np.mean(np.abs(one.samples - other.samples) > 1e-3) > 0.1
    assert floats["audio"].shape == (1, 5 * 4) and np.abs(played.samples).max() > 0.01


def test_a_model_without_style_is_asked_for_numbers_only():
    signatures = wavenets.WaveNetServing(wavenet(num_layers=1, num_pianos=2)).signatures()
    (asked,) = export.warm_up_requests(signatures).items()
    assert asked[0] == "serving_default"
    assert set(asked[1]) == {"content_bytes", "seed", "temperature", "sustain_temperature",
                             "piano_id"}
    how = {"seed": tf.constant([1]), "temperature": tf.constant([1.0]),
           "sustain_temperature": tf.constant([1.0])}
    first, second = (signatures["generate"](roll=tf.constant(rolls(1, 8)), **how,
                                            piano_id=tf.constant([piano]))["audio"].numpy()
                     for piano in (0, 1))
    assert np.abs(first - second).max() > 1e-3
    with pytest.raises(tf.errors.InvalidArgumentError, match="a number from 0 to 1"):
        signatures["generate"](roll=tf.constant(rolls(1, 8)), **how, piano_id=tf.constant([2]))


def test_models_that_cannot_be_told_what_they_read_are_refused(tmp_path, encoder):
    with pytest.raises(ValueError, match=f"global_size is 5, but .* {encoder.style_size} numbers"):
        export.export(wavenet(global_size=5), tmp_path, wavenets.WaveNetServing)
    with pytest.raises(ValueError, match="rolls of 90 features"):
        export.export(wavenet(roll_features=90), tmp_path, wavenets.WaveNetServing)
    assert not list(tmp_path.iterdir())


def test_the_server_takes_no_longer_pieces_than_a_model_can_play_in_time(small_limits, encoder):
    asked = {}

    class Remembering:
        def __init__(self, model, **limits):
            asked.update({model: limits})

        def signatures(self):
            return {}

    def limited(kind):
        longest = getattr(kind, "longest_secs", None)
        own = {"longest_secs": staticmethod(longest)} if longest else {}
        return type("Limited", (Remembering,), own)

    for model, kind, secs in ((wavenet(), wavenets.WaveNetServing, 240.0),
                              (spectral(), wavenets.SpectralServing, 300.0),
                              (encoder, PianoServing, 1000.0)):
        limits = dataclasses.replace(small_limits, content_secs=1000.0)
        models_lib.from_model("x", model, limited(kind), limits)
        assert asked[model]["max_content_secs"] == secs
        models_lib.from_model("x", model, limited(kind), small_limits)
        assert asked[model]["max_content_secs"] == 60.0
