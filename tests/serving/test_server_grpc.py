"""The embedded server's gRPC services answer as TensorFlow Serving's do."""

import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from style_transfer.serving.server.models import Models
from style_transfer.serving.server.run import Server
from tests.serving.stand_in import StandIn, sequence, wav_file


@pytest.fixture(scope="module")
def stub(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def request(signature="double", **inputs):
    made = predict_pb2.PredictRequest()
    made.model_spec.name = "piano_ddsp"
    made.model_spec.signature_name = signature
    for name, value in (inputs or {"x": np.float32([[1, 2]]), "n": np.int32([3])}).items():
        made.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return made


def refused(stub, made):
    with pytest.raises(grpc.RpcError) as error:
        stub.Predict(made, 20)
    return error.value.code(), error.value.details()


def test_predict_gives_outputs_and_the_version_that_answered(stub):
    response = stub.Predict(request(), 20)
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), [[2, 4]])
    assert response.model_spec.version.value == 3


def test_output_filter_leaves_the_rest_out(stub):
    made = request()
    made.output_filter.append("m")
    assert list(stub.Predict(made, 20).outputs) == ["m"]
    made.output_filter.append("z")
    assert refused(stub, made)[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_default_signature_plays(stub):
    made = request("", style_bytes=[wav_file()], content_bytes=[sequence()])
    audio = tf.make_ndarray(stub.Predict(made, 20).outputs["audio_bytes"])[0]
    assert audio[:4] == b"RIFF"


def test_metadata_lists_the_signatures(stub):
    made = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    made.model_spec.name = "piano_ddsp"
    response = stub.GetModelMetadata(made, 20)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["double"].inputs["x"].dtype == tf.float32.as_datatype_enum


def test_wrong_calls_have_the_code_that_says_whose_fault_it_is(stub):
    unknown = request()
    unknown.model_spec.name = "other"
    assert refused(stub, unknown)[0] == grpc.StatusCode.NOT_FOUND
    assert refused(stub, request("nothing"))[0] == grpc.StatusCode.NOT_FOUND
    code, details = refused(stub, request("encode_style", style_bytes=[b"no wav"]))
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "not a WAV file" in details


@pytest.mark.parametrize("dims", [[2**20, 2**20], [-1, 4], [10**9, 1]])
def test_few_bytes_cannot_ask_for_a_large_array(stub, dims):
    made = request()
    tensor = made.inputs["x"]
    tensor.Clear()
    tensor.dtype = tf.float32.as_datatype_enum
    tensor.float_val.append(1.0)
    for size in dims:
        tensor.tensor_shape.dim.add(size=size)
    code, details = refused(stub, made)
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "shape" in details


def test_work_under_way_ends_when_its_call_does(small_limits):
    stand_in = StandIn()
    with (Server(Models([stand_in.served(small_limits)]), small_limits, rest_port=None,
                 grpc_port=0) as server,
          grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        call = stub.Predict.future(request("spin", n=np.int32([2**31 - 1])), 60)
        until = time.monotonic() + 5
        while not stand_in.running and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.3)  # well inside the graph
        assert server.gate.inside == 1
        call.cancel()
        while server.gate.inside and time.monotonic() < until:
            time.sleep(0.02)
        assert server.gate.inside == stand_in.running == 0


def test_a_token_is_asked(small_limits):
    models = Models([StandIn().served(small_limits)])
    with (Server(models, small_limits, rest_port=None, grpc_port=0, token="s3cret") as server,
          grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        assert refused(stub, request())[0] == grpc.StatusCode.UNAUTHENTICATED
        stub.Predict(request(), 20, metadata=[("authorization", "Bearer s3cret")])
