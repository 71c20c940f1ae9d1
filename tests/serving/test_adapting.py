"""`adapt` fits pianos to clips whose notes nobody gave: the server hears them."""

import dataclasses
import io

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from style_transfer import audio
from style_transfer.models.piano_ddsp import adaptation, one_shot
from style_transfer.serving.client import PIANO_NAMES, Retries, connect
from style_transfer.serving.errors import CancelledRequestError
from style_transfer.serving.server import stopping
from style_transfer.serving.server.adapting import piano_arrays
from style_transfer.serving.server.models import Models, ServedModel
from style_transfer.serving.server.run import Server
from style_transfer.transcription import transcriber
from tests import pianos

RATE, STEPS = 24_000, 2


@pytest.fixture(scope="module")
def model():
    return pianos.tiny_model()


@pytest.fixture(scope="module")
def server(model, small_limits):
    limits = dataclasses.replace(small_limits, compute_secs=300.0)
    # What else the model can do is not asked here, and would take long to trace.
    nothing = tf.function(lambda x: {"y": x}, autograph=False).get_concrete_function(
        x=tf.TensorSpec([None], name="x"))
    served = ServedModel("piano_ddsp", 1, {"play": nothing}, limits, model=lambda: model)
    with Server(Models([served]), limits, rest_port=0, grpc_port=0) as running:
        yield running


@pytest.fixture(scope="module")
def clip(request):
    """Four seconds of a real recording's file, as clients send it."""
    recording = audio.load(request.config.rootpath / "examples" / "electric_grand.flac", RATE)
    return wav(recording.samples[:4 * RATE])


def wav(samples):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, "PCM_16", format="WAV")
    return buffer.getvalue()


def test_notes_that_are_not_given_are_heard_and_fitted_to(server, model, clip):
    with connect("rest", f"127.0.0.1:{server.rest_port}", retries=Retries(0)) as client:
        adapted = client.adapt(clip, steps=STEPS)
    assert np.abs(adapted["by_key"]).max() > 0, "the fit must have changed something"
    expected = piano_arrays(one_shot.estimate_piano(
        audio.load(clip), adapt_steps=STEPS, model=model), model)
    for name in PIANO_NAMES:
        np.testing.assert_allclose(adapted[name], expected[name], rtol=1e-4, atol=1e-5,
                                   err_msg=name)


def test_a_request_that_asks_for_no_steps_is_served_whatever_the_limit(server, clip, monkeypatch):
    monkeypatch.setattr(adaptation, "STEPS", 11)  # one more than a request may ask for
    with connect("grpc", f"127.0.0.1:{server.grpc_port}", retries=Retries(0)) as client:
        adapted = client.adapt(clip)
    assert np.abs(adapted["by_key"]).max() > 0


def test_a_clip_with_hardly_a_note_gives_a_piano_without_a_fit(server):
    time = np.arange(4 * RATE) / RATE
    tone = wav(0.3 * np.exp(-time) * np.sin(2 * np.pi * 440 * time))
    with connect("grpc", f"127.0.0.1:{server.grpc_port}", retries=Retries(0)) as client:
        piano = client.adapt(tone, steps=STEPS)
    assert not np.any(piano["by_key"]) and np.all(np.isfinite(piano["style"]))


def test_a_server_without_weights_to_hear_with_says_so(server, clip, monkeypatch):
    def missing(model=None):
        raise FileNotFoundError("There are no weights 'onsets_frames_small'.")

    monkeypatch.setattr(transcriber, "load", missing)
    with connect("grpc", f"127.0.0.1:{server.grpc_port}", retries=Retries(0)) as client, \
            pytest.raises(ValueError, match="no weights 'onsets_frames_small'"):
        client.adapt(clip, steps=STEPS)


def test_a_fit_whose_client_has_gone_ends_between_two_steps(server, clip):
    stop, steps = stopping.Stop(), []
    check = stop.check

    def count(what, *_):
        if what == "adapting":
            steps.append(what)
            stop.set()
        check()

    stop.check = count
    model = server.models.get("piano_ddsp")
    with pytest.raises(CancelledRequestError):
        model.predict("adapt", {"style_bytes": [clip], "steps": [10]}, stop)
    assert len(steps) == 1


def test_more_steps_than_allowed_are_refused_before_anything_is_heard(server, clip, monkeypatch):
    monkeypatch.setattr(adaptation, "adapt", None)
    monkeypatch.setattr(transcriber, "load", None)
    with connect("grpc", f"127.0.0.1:{server.grpc_port}", retries=Retries(0)) as client, \
            pytest.raises(ValueError, match="between 0 and 10"):
        client.adapt(clip, steps=11)
