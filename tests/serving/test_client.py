"""The client over REST and gRPC: results, deadlines, retries, errors one can act on."""

import threading
import time

import numpy as np
import pytest

from style_transfer import piano_roll
from style_transfer.audio import Audio
from style_transfer.serving.client import Retries, ServingError, connect
from style_transfer.serving.server.models import Models
from style_transfer.serving.server.run import Server
from tests.serving.stand_in import StandIn, sequence, wav_file

QUICK = Retries(4, 0.05)


def address(server, protocol):
    return f"127.0.0.1:{server.rest_port if protocol == 'rest' else server.grpc_port}"


@pytest.fixture(params=["rest", "grpc"])
def client(request, server):
    with connect(request.param, address(server, request.param), retries=QUICK,
                 deadline_secs=20) as made:
        yield made


def test_transfer_takes_files_and_gives_audio(client, tmp_path):
    clip = tmp_path / "clip.wav"
    clip.write_bytes(wav_file())
    midi = tmp_path / "piece.mid"
    piano_roll.save_midi(midi, piano_roll.load_midi(sequence(69)))
    result = client.transfer(str(clip), str(midi))
    assert isinstance(result, Audio) and len(result.samples) == 2400
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2400) / 24_000)
    np.testing.assert_allclose(result.samples, expected, atol=2e-3)


def test_arrays_arrive_as_they_were_sent(client):
    x, n = np.float32([[0.1, -1e-9], [3e7, 2]]), np.int32([1, 2])
    outputs = client.predict("double", {"x": x, "n": n})
    np.testing.assert_allclose(outputs["y"], 2 * x, rtol=1e-6)
    np.testing.assert_array_equal(outputs["m"], n)


def test_status_tells_the_versions(client):
    assert client.status() == {2: "AVAILABLE", 3: "AVAILABLE"}


def test_a_refusal_has_the_servers_reason_and_is_not_retried(client, stand_in):
    before = stand_in.calls
    with pytest.raises(ServingError, match="not a WAV file") as error:
        client.predict("encode_style", {"style_bytes": [b"no wav"]})
    assert error.value.code == "INVALID_ARGUMENT" and not error.value.retry
    assert stand_in.calls == before + 1


def test_a_clip_that_is_no_audio_is_refused_before_it_is_sent(client, stand_in):
    before = stand_in.calls
    with pytest.raises(ValueError, match="not audio"):
        client.encode_style(b"no audio")
    assert stand_in.calls == before


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_where_nobody_answers_the_address_is_named(protocol):
    begun = time.monotonic()
    with pytest.raises(ServingError, match="127.0.0.1:9.*running"):
        connect(protocol, "127.0.0.1:9", retries=Retries(2, 0.05), deadline_secs=10).status()
    assert time.monotonic() - begun < 8


@pytest.mark.parametrize("given", ["nowhere", "http://x/y:80", ":80", "host:"])
def test_an_address_must_be_host_and_port(given):
    with pytest.raises(ValueError, match="host:port"):
        connect("rest", given)


@pytest.fixture(params=["rest", "grpc"])
def busy(request, small_limits):
    stand_in = StandIn()
    stand_in.delay_secs = 0.2
    limits = type(small_limits)(workers=1, queue=0)
    with Server(Models([stand_in.served(limits)]), limits, rest_port=0, grpc_port=0) as server:
        yield request.param, server, stand_in
        stand_in.hurry.set()


def test_a_busy_server_is_asked_again_until_it_has_time(busy):
    protocol, server, stand_in = busy
    results = []

    def ask():
        with connect(protocol, address(server, protocol), retries=Retries(20, 0.05)) as client:
            results.append(client.predict("encode_style", {"style_bytes": [wav_file()]}))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3 and stand_in.most_running == 1


def test_a_deadline_ends_a_call(busy):
    protocol, server, stand_in = busy
    stand_in.delay_secs = 3.0
    begun = time.monotonic()
    with (connect(protocol, address(server, protocol), deadline_secs=0.7) as client,
          pytest.raises(ServingError, match="0.7 s") as error):
        client.predict("encode_style", {"style_bytes": [wav_file()]})
    assert error.value.code == "DEADLINE_EXCEEDED" and time.monotonic() - begun < 2.5
