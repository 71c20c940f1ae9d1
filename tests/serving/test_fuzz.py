"""Whatever arrives: a clear status, no crash, nothing left behind.

`slow` runs thousands of cases instead of hundreds.
"""

import json
import random
import socket
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from benchmarks.robustness import mutated
from tests.serving.http_calls import b64, call, predict
from tests.serving.stand_in import sequence, wav_file

STYLE, CONTENT = wav_file(), sequence()
ODD_VALUES = (None, True, 0, -1, 2**31, 2**63, 1e308, float("nan"), float("inf"), "", "\0",
              "\ud800", "../../etc/passwd", [], {}, [[]], {"b64": None}, {"b64": ""},
              {"b64": "AAAA"})
GRPC_CODES = {"INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}
MANY = [pytest.param(150, id="some"), pytest.param(1500, id="many", marks=pytest.mark.slow)]


def hostile_wav(rng):
    kind = rng.randrange(4)
    if kind == 0:
        with np.errstate(invalid="ignore"):
            return wav_file(subtype="FLOAT", level=rng.choice([np.nan, np.inf, 1e30]))
    if kind == 1:
        return STYLE[:rng.randrange(len(STYLE))]
    return mutated(rng.choice([STYLE, wav_file(subtype="PCM_24", channels=2)]), rng)


def odd_json(rng, depth=0):
    if depth > 3 or rng.random() < 0.4:
        return rng.choice(ODD_VALUES)
    if rng.random() < 0.5:
        return [odd_json(rng, depth + 1) for _ in range(rng.randrange(4))]
    names = ["style_bytes", "content_bytes", "x", "n", "b64", "__class__"]
    return {name: odd_json(rng, depth + 1) for name in rng.sample(names, rng.randrange(5))}


def body(rng):
    kind = rng.randrange(5)
    if kind == 0:
        return rng.randbytes(rng.randrange(200))
    if kind == 1:
        whole = json.dumps({"instances": [{"style_bytes": b64(STYLE[:300]),
                                           "content_bytes": b64(CONTENT)}]}).encode()
        return mutated(whole, rng)
    if kind == 2:
        odd = {"signature_name": rng.choice(["double", "serving_default", "", 7, "adapt"]),
               rng.choice(["instances", "inputs"]): odd_json(rng)}
        return json.dumps(odd).encode()
    return json.dumps({"instances": [{"style_bytes": b64(hostile_wav(rng)), "content_bytes": b64(
        mutated(CONTENT, rng) if kind == 3 else CONTENT)}]}).encode()


def still_well(server):
    """The server answers a good request, and nobody is left inside."""
    good = {"instances": [{"style_bytes": b64(STYLE), "content_bytes": b64(CONTENT)}]}
    assert predict(server, good)[0] == 200
    # Who dawdles is given up after `read_secs`; an answer is read before its sender has left.
    for _ in range(100):
        if not server.gate.inside:
            break
        time.sleep(0.05)
    assert server.gate.inside == 0


@pytest.mark.parametrize("count", MANY)
def test_any_body_gets_an_answer_or_a_reason(server, count):
    rng = random.Random(count)
    statuses = []
    for i in range(count):
        sent = body(rng)
        status, answer = predict(server, sent)
        statuses.append(status)
        assert status in (200, 400, 404), (i, status, answer, sent[:300])
        assert status == 200 or (answer["error"] and "Traceback" not in answer["error"]), answer
    assert statuses.count(400) > count / 2
    still_well(server)


@pytest.mark.parametrize("count", MANY)
def test_any_bytes_on_the_wire_leave_the_server_well(server, count):
    rng = random.Random(count)
    payload = json.dumps({"instances": [{"style_bytes": b64(STYLE[:200]),
                                         "content_bytes": b64(CONTENT)}]}).encode()
    request = (b"POST /v1/models/piano_ddsp:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n"
               b"Content-Type: application/json\r\n\r\n" % len(payload)) + payload
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", server.rest_port), timeout=5) as connection:
            try:
                connection.sendall(mutated(request, rng))
                if rng.random() < 0.3:
                    connection.settimeout(0.02)
                    connection.recv(200)
            except OSError:
                pass  # refused or not answered yet; hanging up is part of the test
    still_well(server)


@pytest.mark.parametrize("headers", [
    {"X-Long": "a" * 200_000}, {f"X-{i}": "b" * 50 for i in range(3000)},
    {"Content-Length": "9" * 30}, {"Authorization": "Bearer \xff"},
], ids=["long", "many", "huge length", "not ascii"])
def test_giant_and_strange_headers_are_refused(server, headers):
    try:
        status, *_ = call(server, "POST", "/v1/models/piano_ddsp:predict", b"{}", headers)
        assert 400 <= status < 500
    except OSError:
        pass  # hung up on, which is an answer too
    still_well(server)


def hostile_proto(rng):
    made = predict_pb2.PredictRequest()
    made.model_spec.name = rng.choice(["piano_ddsp"] * 5 + ["", "../x"])
    made.model_spec.signature_name = rng.choice(["", "double", "encode_style", "none"])
    if rng.random() < 0.1:
        made.model_spec.version.value = rng.choice([0, -1, 2**62])
    for name in rng.sample(["style_bytes", "content_bytes", "x", "n"], rng.randrange(5)):
        tensor = made.inputs[name]
        tensor.dtype = rng.choice([0, 1, 3, 7, 7, 7, 20, 21, 99])
        for _ in range(rng.randrange(3)):
            tensor.tensor_shape.dim.add(size=rng.choice([1, 1, 1, 0, -1, 2, 2**40]))
        tensor.tensor_shape.unknown_rank = rng.random() < 0.1
        if rng.random() < 0.6:
            tensor.string_val.append(hostile_wav(rng) if "style" in name else
                                     mutated(CONTENT, rng))
        if rng.random() < 0.3:
            tensor.float_val.append(float("nan"))
        if rng.random() < 0.2:
            tensor.tensor_content = rng.randbytes(rng.randrange(20))
        if rng.random() < 0.05:
            tensor.resource_handle_val.add(name="x")
    return made


@pytest.mark.parametrize("count", MANY)
def test_any_proto_gets_an_answer_or_a_reason(server, count):
    rng = random.Random(count)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        raw = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for i in range(count):
            made = hostile_proto(rng)
            try:
                if rng.random() < 0.2:
                    raw(mutated(made.SerializeToString() or b"a", rng), timeout=20)
                else:
                    stub.Predict(made, 20)
            except grpc.RpcError as error:
                code = error.code().name
                # What is no proto at all is refused by gRPC itself, as INTERNAL or UNKNOWN.
                unparsed = "deserializ" in (error.details() or "").lower()
                assert code in GRPC_CODES or unparsed, (i, code, error.details(), made)
                assert error.details()
        for _ in range(20):  # calls that are given up at once
            stub.Predict.future(made, 0.001).cancel()
    still_well(server)


def test_a_good_call_after_all_that_gives_the_same_as_before(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        made = predict_pb2.PredictRequest()
        made.model_spec.name = "piano_ddsp"
        made.model_spec.signature_name = "double"
        made.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([[4]])))
        made.inputs["n"].CopyFrom(tf.make_tensor_proto(np.int32([1])))
        assert tf.make_ndarray(stub.Predict(made, 20).outputs["y"]).tolist() == [[8]]
