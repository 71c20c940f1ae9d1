"""The embedded server's REST interface answers as TensorFlow Serving's does."""

import asyncio
import base64
import concurrent.futures
import io
import json
import socket
import threading
import time

import numpy as np
import pytest
import soundfile

from style_transfer.serving.errors import InvalidRequestError, OverloadedError
from style_transfer.serving.server.http import Bodies
from style_transfer.serving.server.limits import Limits
from style_transfer.serving.server.models import Models, as_array
from style_transfer.serving.server.run import Server
from tests.serving.http_calls import b64, call, predict
from tests.serving.stand_in import StandIn, sequence, wav_file

STYLE, CONTENT = wav_file(), sequence()
ROW = {"style_bytes": b64(STYLE), "content_bytes": b64(CONTENT)}


def decoded(value):
    return soundfile.read(io.BytesIO(base64.b64decode(value["b64"])))[0]


def test_instances_are_answered_with_predictions(server):
    status, answer = predict(server, {"instances": [ROW, ROW]})
    assert status == 200 and list(answer) == ["predictions"]
    assert [len(decoded(value)) for value in answer["predictions"]] == [2400, 2400]


def test_inputs_are_answered_with_outputs(server):
    status, answer = predict(server, {"inputs": {name: [value] for name, value in ROW.items()}})
    assert status == 200 and list(answer) == ["outputs"]
    assert len(decoded(answer["outputs"][0])) == 2400


def test_several_outputs_are_named_in_rows_and_in_columns(server):
    columns = {"signature_name": "double", "inputs": {"x": [[1, 2.5]], "n": [7]}}
    assert predict(server, columns) == (200, {"outputs": {"y": [[2.0, 5.0]], "m": [7]}})
    rows = {"signature_name": "double", "instances": [{"x": [1, 2.5], "n": 7}]}
    assert predict(server, rows) == (200, {"predictions": [{"y": [2.0, 5.0], "m": 7}]})


def test_only_input_needs_no_name(server):
    for body in ({"instances": [b64(STYLE)]}, {"inputs": [b64(STYLE)]}):
        status, _ = predict(server, {"signature_name": "encode_style", **body})
        assert status == 200


def test_a_version_can_be_named_and_the_newest_is_taken_else(server):
    path = "/v1/models/piano_ddsp/versions/{}:predict"
    assert predict(server, {"instances": [ROW]}, path.format(2))[0] == 200
    status, answer = predict(server, {"instances": [ROW]}, path.format(9))
    assert status == 404 and "3, 2" in answer["error"]


def test_status_and_metadata_are_those_of_tensorflow_serving(server):
    status, answer, _ = call(server, "GET", "/v1/models/piano_ddsp")
    assert status == 200 and [v["version"] for v in answer["model_version_status"]] == ["3", "2"]
    assert answer["model_version_status"][0] == {
        "version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    status, answer, _ = call(server, "GET", "/v1/models/piano_ddsp/versions/2/metadata")
    assert answer["model_spec"] == {"name": "piano_ddsp", "signature_name": "", "version": "2"}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert signatures["double"]["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert [d["size"] for d in signatures["double"]["inputs"]["x"]["tensor_shape"]["dim"]] == [
        "-1", "-1"]


@pytest.mark.parametrize(("body", "status", "message"), [
    (b"{", 400, "not JSON"),
    (b"[" * 100_000, 400, "JSON"),
    (b'{"instances": ' + b'[' * 900 + b']' * 900 + b"}", 400, ""),
    ({}, 400, "both or none"),
    ({"instances": [ROW], "inputs": ROW}, 400, "both or none"),
    ({"instances": []}, 400, "at least one"),
    ({"instances": [ROW, {"style_bytes": b64(STYLE)}]}, 400, "same inputs"),
    ({"instances": [{"style_bytes": b64(STYLE)}]}, 400, "content_bytes"),
    ({"instances": [{**ROW, "x": 1}]}, 400, "no inputs x"),
    ({"instances": [{**ROW, "style_bytes": {"b64": "!"}}]}, 400, "base64"),
    ({"instances": [{**ROW, "style_bytes": 3}]}, 400, "bytes"),
    ({"instances": [{**ROW, "style_bytes": b64(b"no wav")}]}, 400, "not a WAV file"),
    ({"instances": [{**ROW, "content_bytes": b64(b"MThd")}]}, 400, "MIDI"),
    ({"instances": [ROW] * 5}, 400, "at most 4"),
    ({"instances": [ROW], "signature_name": "nothing"}, 404, "there are double"),
    ({"instances": [ROW], "signature_name": 3}, 400, "string"),
    ({"signature_name": "double", "inputs": {"x": [[1], [2]], "n": [1]}}, 400, "same number"),
    ({"signature_name": "double", "inputs": {"x": [1], "n": [1]}}, 400, "shape"),
    ({"signature_name": "double", "inputs": {"x": [[1], [2, 3]], "n": [1, 2]}}, 400, "fit"),
    ({"signature_name": "double", "inputs": {"x": [["a"]], "n": [1]}}, 400, "fit"),
    ({"signature_name": "double", "inputs": {"x": [[1]], "n": [2**40]}}, 400, "int32"),
    ({"signature_name": "double", "inputs": {"x": [[1]], "n": [10**400]}}, 400, "fit"),
], ids=range(22))
def test_a_wrong_request_is_refused_with_its_reason(server, body, status, message):
    given, answer = predict(server, body)
    assert given == status and message in answer["error"]
    assert "Traceback" not in answer["error"] and "File" not in answer["error"]


def test_unknown_models_and_paths_are_not_found(server):
    assert predict(server, {"instances": [ROW]}, "/v1/models/other:predict")[0] == 404
    for method, path in (("GET", "/"), ("GET", "/docs"), ("GET", "/v1/models/a/b/c"),
                         ("PUT", "/v1/models/piano_ddsp:predict"),
                         ("GET", "/v1/models/..%2f..%2fetc%2fpasswd"),
                         ("GET", "/v1/models/piano_ddsp/versions/x")):
        status, answer, _ = call(server, method, path)
        assert status in (404, 405) and answer["error"]


def test_long_clips_and_pieces_are_refused_before_they_are_computed(server, stand_in):
    long_clip = wav_file(31, rate=8_000)
    status, answer = predict(server, {"instances": [{**ROW, "style_bytes": b64(long_clip)}]})
    assert status == 400 and "at most 30 s" in answer["error"]
    many = sequence(*[60] * 501)
    status, answer = predict(server, {"instances": [{**ROW, "content_bytes": b64(many)}]})
    assert status == 400 and "501 notes; at most 500" in answer["error"]


def test_too_large_bodies_are_refused_whether_announced_or_not(server):
    status, answer = predict(server, b"x" * ((1 << 20) + 1))
    assert status == 413 and "1048576" in answer["error"]
    with socket.create_connection(("127.0.0.1", server.rest_port)) as connection:
        connection.sendall(b"POST /v1/models/piano_ddsp:predict HTTP/1.1\r\nHost: x\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(40):
                connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        except OSError:
            pass  # the server need not listen to the rest
        else:
            assert b" 413 " in connection.recv(1000)


def test_a_client_that_dawdles_is_given_up(server):
    with socket.create_connection(("127.0.0.1", server.rest_port)) as connection:
        connection.sendall(b"POST /v1/models/piano_ddsp:predict HTTP/1.1\r\nHost: x\r\n"
                           b"Content-Length: 100\r\n\r\n{")
        connection.settimeout(10)
        assert b" 408 " in connection.recv(1000)
    assert server.gate.inside == 0


def test_metrics_count_requests_by_outcome(server):
    predict(server, {"instances": [ROW]})
    predict(server, b"{")
    for path in ("/metrics", "/monitoring/prometheus/metrics"):
        text = call(server, "GET", path)[1].decode()
        assert 'code="OK",interface="rest",signature="serving_default"' in text
        assert 'code="INVALID_ARGUMENT"' in text and "request_seconds_bucket" in text


@pytest.fixture
def slow(small_limits):
    """A server of its own whose calls take a while."""
    stand_in = StandIn()
    stand_in.delay_secs = 0.6
    server = Server(Models([stand_in.served(small_limits)]), small_limits, rest_port=0,
                    grpc_port=None)
    with server:
        yield server, stand_in


def test_what_does_not_fit_into_the_queue_is_refused_at_once_and_the_rest_served(slow):
    server, stand_in = slow
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: predict(server, {"instances": [ROW]}), range(10)))
    statuses = [status for status, _ in answers]
    assert statuses.count(200) == 4 and statuses.count(429) == 6
    assert stand_in.most_running == 2, "the number of workers"
    assert predict(server, {"instances": [ROW]})[0] == 200


def test_a_client_that_hangs_up_frees_its_place(slow):
    server, stand_in = slow
    body = b'{"instances": [{"style_bytes": "a", "content_bytes": "b"}]}'
    connections = [posted(server, body) for _ in range(4)]
    wait_for(lambda: server.gate.inside == 4)
    for connection in connections:
        connection.close()
    wait_for(lambda: not server.gate.inside)
    assert stand_in.calls < 4, "who waited and hung up is not computed for"


def posted(server, body, sent=None):
    """A connection that has sent some of a request."""
    connection = socket.create_connection(("127.0.0.1", server.rest_port))
    head = (b"POST /v1/models/piano_ddsp:predict HTTP/1.1\r\nHost: x\r\nContent-Length: "
            + str(len(body)).encode() + b"\r\n\r\n")
    connection.sendall(head + body[:sent])
    return connection


def wait_for(condition, secs=5):
    until = time.monotonic() + secs
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_work_under_way_ends_when_its_client_hangs_up(slow):
    server, stand_in = slow
    stand_in.delay_secs = 0.0
    body = json.dumps({"signature_name": "spin", "inputs": {"n": [2**31 - 1]}}).encode()
    connection = posted(server, body)
    wait_for(lambda: stand_in.running)
    time.sleep(0.3)  # well inside the graph
    assert server.gate.inside == stand_in.running == 1
    connection.close()
    wait_for(lambda: not server.gate.inside)
    assert stand_in.running == 0
    assert 'code="CANCELLED",interface="rest",signature="spin"} 1.0' in call(
        server, "GET", "/metrics")[1].decode()


def test_clients_that_send_slowly_take_no_place(slow):
    server, stand_in = slow
    stand_in.delay_secs = 0.0
    slowly = [posted(server, json.dumps({"instances": [ROW]}).encode(), 10)
              for _ in range(2 * server.gate.capacity)]
    time.sleep(0.3)
    assert server.gate.inside == 0
    assert predict(server, {"instances": [ROW]})[0] == 200
    for connection in slowly:
        connection.close()


def test_what_is_being_sent_is_bounded_in_memory():
    class Request:
        headers = {}

        async def stream(self):
            yield bytes(6)

    async def both():
        bodies = Bodies(max_bytes=10, count=1)
        async with bodies.read(Request(), 1) as body:
            assert len(body) == 6
            with pytest.raises(OverloadedError, match="at the same time"):
                async with bodies.read(Request(), 1):
                    pass
        async with bodies.read(Request(), 1):
            pass
        return bodies.left

    assert asyncio.run(both()) == 10


def test_stopping_finishes_what_was_begun_and_refuses_the_rest(slow):
    server, stand_in = slow
    answers = []
    client = threading.Thread(target=lambda: answers.append(predict(server, {"instances": [ROW]})))
    client.start()
    while not stand_in.running:
        time.sleep(0.01)
    stopper = threading.Thread(target=server.stop)
    stopper.start()
    while server.gate.is_open:
        time.sleep(0.01)
    assert call(server, "GET", "/readyz")[0] == 503 and call(server, "GET", "/healthz")[0] == 200
    status, answer, headers = call(server, "POST", "/v1/models/piano_ddsp:predict", b"{}")
    assert status == 503 and headers["Retry-After"]
    client.join()
    stopper.join()
    assert answers[0][0] == 200
    with pytest.raises(OSError):
        call(server, "GET", "/healthz")


def test_a_token_is_asked_of_everything_but_health(small_limits):
    models = Models([StandIn().served(small_limits)])
    with Server(models, small_limits, rest_port=0, grpc_port=None, token="s3cret") as server:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "s3cret"}):
            assert predict(server, {"instances": [ROW]}, headers=headers)[0] == 401
            assert call(server, "GET", "/metrics", headers=headers)[0] == 401
        right = {"Authorization": "Bearer s3cret"}
        assert predict(server, {"instances": [ROW]}, headers=right)[0] == 200
        assert call(server, "GET", "/healthz")[0] == 200


def test_a_taken_port_is_named(server, small_limits):
    models = Models([StandIn().served(small_limits)])
    with pytest.raises(ValueError, match=f"{server.rest_port}.*--rest_port"):
        Server(models, small_limits, rest_port=server.rest_port, grpc_port=None).start()
    with pytest.raises(ValueError, match=f"{server.grpc_port}.*--grpc_port"):
        Server(models, small_limits, rest_port=None, grpc_port=server.grpc_port).start()


def test_loopback_is_where_it_listens_unless_told(server):
    assert server._rest.host == "127.0.0.1"


def test_limits_must_let_something_through():
    with pytest.raises(ValueError, match="workers"):
        Limits(workers=0)


def test_lists_without_numbers_fit_every_type_of_number():
    for dtype in (np.int32, np.float32):
        found = as_array("pedal_control", [[]], (None, None), dtype)
        assert found.shape == (1, 0) and found.dtype == dtype
    with pytest.raises(InvalidRequestError, match="it holds no int32"):
        as_array("pedal_control", [[0.5]], (None, None), np.int32)
