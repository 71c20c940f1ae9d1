"""Clients of TensorFlow Serving and of the embedded server, over REST and gRPC.

Deadlines hold for a call with all its retries. Retried is only what the server did not begin: a
refused connection, a full queue, a server that is shutting down.
"""

import base64
import dataclasses
import http.client
import json
import pathlib
import random
import time
import urllib.parse

import numpy as np

DEFAULT_DEADLINE_SECS = 120.0
FIRST_WAIT_SECS, LONGEST_WAIT_SECS = 0.2, 5.0
# What signatures with one output call it: REST gives that one without its name.
ONLY_OUTPUTS = {"serving_default": "audio_bytes", "play": "audio_bytes", "generate": "audio",
                "transfer": "audio", "encode_style": "style"}
PIANO_NAMES = ("style", "f0_hz", "inharmonicity", "loudness_db", "by_key", "by_velocity",
               "room")


class ServingError(ValueError):
    """A call failed; the message says which server, what it answered, what to do.

    Attributes:
        code: Name of the gRPC status, also over REST.
        retry: Whether the same call may succeed later.
    """

    def __init__(self, message, code="UNKNOWN", retry=False):
        super().__init__(message)
        self.code, self.retry = code, retry


@dataclasses.dataclass(frozen=True)
class Retries:
    """How often and how long to try again.

    Attributes:
        count: Tries after the first.
        first_wait_secs: Wait before the second try; it doubles each time, with some chance.
    """

    count: int = 4
    first_wait_secs: float = FIRST_WAIT_SECS


class Client:
    """What both interfaces offer; see `connect`.

    Args:
        address: `host:port`.
        model: Name of the model.
        version: Its version, None for the newest.
        token: Bearer token, if the server wants one.
        deadline_secs: How long a call may take, retries included.
        retries: `Retries`.
    """

    def __init__(self, address, model="piano_ddsp", version=None, token=None,
                 deadline_secs=DEFAULT_DEADLINE_SECS, retries=None):
        self.address, self.model, self.version = address, model, version
        self.token, self.deadline_secs = token, deadline_secs
        self.retries = retries or Retries()

    def transfer(self, style, content):
        """Plays a piece on the piano of a recording.

        Args:
            style: The recording, as `audio.load` takes it.
            content: The piece, as `piano_roll.load_midi` takes it.

        Returns:
            An `Audio`.
        """
        return _audio(self.predict("serving_default", {
            "style_bytes": [_wav(style)], "content_bytes": [_sequence(content)]}))

    def generate(self, content, seed=0, temperature=1.0, sustain_temperature=None,
                 style=None, piano_id=None):
        """Plays a piece with a served `WaveNet`, sample by sample.

        Args:
            content: The piece, as `piano_roll.load_midi` takes it.
            seed: Of the draws.
            temperature: Of the draws; 0 takes the likeliest.
            sustain_temperature: Of those while notes ring; None for the same.
            style: A recording of the piano, for a model that is told of it so.
            piano_id: Its number, likewise.

        Returns:
            An `Audio`.
        """
        if sustain_temperature is None:
            sustain_temperature = temperature
        inputs = {"content_bytes": [_sequence(content)], "seed": np.array([seed], np.int32),
                  "temperature": np.array([temperature], np.float32),
                  "sustain_temperature": np.array([sustain_temperature], np.float32)}
        if style is not None:
            inputs["style_bytes"] = [_wav(style)]
        if piano_id is not None:
            inputs["piano_id"] = np.array([piano_id], np.int32)
        return _audio(self.predict("serving_default", inputs))

    def encode_style(self, style):
        """The parameters of a recording's piano: dict of arrays for `play`."""
        return _piano(self.predict("encode_style", {"style_bytes": [_wav(style)]}))

    def adapt(self, style, style_content=None, steps=None, seed=0):
        """As `encode_style`, fitted to the clip; only the embedded server can.

        Args:
            style: The recording.
            style_content: Its notes, in its time; None lets the server transcribe it.
            steps: Gradient steps; None leaves the choice to the server.
            seed: Seed of the fit.
        """
        inputs = {"style_bytes": [_wav(style)], "seed": np.array([seed], np.int32)}
        if style_content is not None:
            inputs["style_content_bytes"] = [_sequence(style_content)]
        if steps is not None:
            inputs["steps"] = np.array([steps], np.int32)
        return _piano(self.predict("adapt", inputs))

    def play(self, piano, content):
        """Plays a piece on a piano from `encode_style` or `adapt`; an `Audio`."""
        inputs = {name: np.asarray(piano[name], np.float32)[None] for name in PIANO_NAMES}
        return _audio(self.predict("play", {**inputs, "content_bytes": [_sequence(content)]}))

    def transcribe(self, recording):
        """The notes of a recording, by a served transcription model.

        Args:
            recording: As `audio.load` takes it.

        Returns:
            A NoteSequence.
        """
        from note_seq.protobuf import music_pb2

        outputs = self.predict("serving_default", {"audio_bytes": [_wav(recording)]})
        return music_pb2.NoteSequence.FromString(bytes(outputs["sequence_bytes"][0]))

    def predict(self, signature, inputs):
        """Runs a signature.

        Args:
            signature: Its name.
            inputs: Dict of arrays or lists of bytes, batch first.

        Returns:
            Dict of arrays; bytes come as object arrays.

        Raises:
            ServingError: The server cannot be reached or refused.
        """
        return self._with_retries(lambda left: self._predict(signature, inputs, left))

    def status(self):
        """Dict of version to state, such as `{1: "AVAILABLE"}`."""
        return self._with_retries(self._status)

    def signatures(self):
        """What the model can be asked: dict of signature to the set of its inputs' names."""
        return self._with_retries(self._signatures)

    def close(self):
        """Closes connections."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _with_retries(self, call):
        until = time.monotonic() + self.deadline_secs
        wait = self.retries.first_wait_secs
        for left_tries in range(self.retries.count, -1, -1):
            left_secs = until - time.monotonic()
            if left_secs <= 0:
                raise self._too_late()
            try:
                return call(left_secs)
            except ServingError as error:
                # All clients of a full server must not come back at once.
                pause = wait * random.uniform(0.5, 1.0)
                if not error.retry or not left_tries or time.monotonic() + pause > until:
                    raise
            time.sleep(pause)
            wait = min(2 * wait, LONGEST_WAIT_SECS)
        raise AssertionError("unreachable")

    def _too_late(self):
        return ServingError(f"{self.address} did not answer within {self.deadline_secs:g} s; give "
                            "a longer deadline (--deadline_secs).", "DEADLINE_EXCEEDED")


class RestClient(Client):
    """Speaks REST."""

    _CODES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND",
              408: "DEADLINE_EXCEEDED", 413: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED",
              503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}

    def _predict(self, signature, inputs, timeout_secs):
        body = {"signature_name": signature,
                "inputs": {name: _to_json(value) for name, value in inputs.items()}}
        answer = self._call("POST", ":predict", timeout_secs, json.dumps(body).encode())
        if not isinstance(answer, dict) or "outputs" not in answer:
            raise self._foreign()
        return _outputs(answer["outputs"], signature)

    def _status(self, timeout_secs):
        answer = self._call("GET", "", timeout_secs)
        try:
            return {int(v["version"]): v["state"] for v in answer["model_version_status"]}
        except (KeyError, TypeError, ValueError) as error:
            raise self._foreign() from error

    def _signatures(self, timeout_secs):
        answer = self._call("GET", "/metadata", timeout_secs)
        try:
            found = answer["metadata"]["signature_def"]["signature_def"]
            return {name: frozenset(signature["inputs"]) for name, signature in found.items()}
        except (KeyError, TypeError) as error:
            raise self._foreign() from error

    def _call(self, method, action, timeout_secs, body=None):
        path = f"/v1/models/{urllib.parse.quote(self.model, safe='')}"
        path += f"/versions/{self.version}" if self.version is not None else ""
        headers = {"Content-Type": "application/json"} if body else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        connection = http.client.HTTPConnection(self.address, timeout=timeout_secs)
        try:
            connection.request(method, path + action, body, headers)
            response = connection.getresponse()
            data = response.read()
        except TimeoutError as error:
            raise self._too_late() from error
        except (OSError, http.client.HTTPException) as error:
            raise ServingError(
                f"No REST server answers at {self.address} ({error or type(error).__name__}). Is "
                "it running, and is this its REST port?", "UNAVAILABLE",
                retry=isinstance(error, ConnectionRefusedError)) from error
        finally:
            connection.close()
        return self._parsed(response.status, data)

    def _parsed(self, status, data):
        try:
            answer = json.loads(data)
        except ValueError as error:
            raise self._foreign(status) from error
        if status == 200:
            return answer
        message = answer.get("error") if isinstance(answer, dict) else None
        raise ServingError(f"{self.address} refused the request ({status}): {message or answer}",
                           self._CODES.get(status, "UNKNOWN"), retry=status in (429, 503))

    def _foreign(self, status=200):
        return ServingError(f"{self.address} answered ({status}) what no TensorFlow Serving "
                            "answers. Is this its REST port?")


class GrpcClient(Client):
    """Speaks gRPC, over one channel that is kept."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        import grpc
        from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

        self._channel = grpc.insecure_channel(self.address, options=[
            ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1),
            ("grpc.enable_retries", 0)])
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def close(self):
        """Closes the channel."""
        self._channel.close()

    def _predict(self, signature, inputs, timeout_secs):
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest()
        self._fill_spec(request.model_spec)
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        response = self._call(self._prediction.Predict, request, timeout_secs)
        return {name: tf.make_ndarray(value) for name, value in response.outputs.items()}

    def _status(self, timeout_secs):
        from tensorflow_serving.apis import get_model_status_pb2

        request = get_model_status_pb2.GetModelStatusRequest()
        self._fill_spec(request.model_spec)
        response = self._call(self._models.GetModelStatus, request, timeout_secs)
        names = get_model_status_pb2.ModelVersionStatus.State.Name
        return {v.version: names(v.state) for v in response.model_version_status}

    def _signatures(self, timeout_secs):
        from tensorflow_serving.apis import get_model_metadata_pb2

        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._fill_spec(request.model_spec)
        response = self._call(self._prediction.GetModelMetadata, request, timeout_secs)
        found = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(found)
        return {name: frozenset(signature.inputs)
                for name, signature in found.signature_def.items()}

    def _fill_spec(self, spec):
        spec.name = self.model
        if self.version is not None:
            spec.version.value = self.version

    def _call(self, method, request, timeout_secs):
        import grpc

        metadata = [("authorization", f"Bearer {self.token}")] if self.token else None
        try:
            return method(request, timeout_secs, metadata)
        except grpc.RpcError as error:
            code, details = error.code(), error.details()
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            raise self._too_late()
        if code == grpc.StatusCode.UNAVAILABLE:
            raise ServingError(f"No gRPC server answers at {self.address} ({details}). Is it "
                               "running, and is this its gRPC port?", code.name, retry=True)
        raise ServingError(f"{self.address} refused the call ({code.name}): {details}", code.name,
                           retry=code == grpc.StatusCode.RESOURCE_EXHAUSTED)


def connect(protocol, address, **options):
    """A `RestClient` or `GrpcClient`.

    Args:
        protocol: `rest` or `grpc`.
        address: `host:port`.
        **options: As `Client` takes them.
    """
    kinds = {"rest": RestClient, "grpc": GrpcClient}
    if protocol not in kinds:
        raise ValueError(f"The protocol must be rest or grpc, got {protocol!r}.")
    host, colon, port = str(address).rpartition(":")
    if not host or not colon or not port.isdigit() or "/" in host:
        raise ValueError(f"The server must be given as host:port, got {address!r}.")
    return kinds[protocol](address, **options)


def _wav(style):
    """The 16 bit WAV file that every server reads, of any recording, at its own rate."""
    import io

    import soundfile

    from style_transfer import audio

    clip = audio.load(style if isinstance(style, (bytes, audio.Audio)) else pathlib.Path(style))
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(clip.samples, -1, 1), clip.sample_rate, "PCM_16", format="WAV")
    return buffer.getvalue()


def _sequence(content):
    from style_transfer import piano_roll

    return piano_roll.load_midi(content).SerializeToString()


def _audio(outputs):
    import io

    import soundfile

    from style_transfer import audio

    # As it is: what loads recordings would take a constant offset away.
    data = io.BytesIO(bytes(outputs["audio_bytes"][0]))
    return audio.Audio(*soundfile.read(data, dtype="float32"))


def _piano(outputs):
    return {name: np.asarray(outputs[name][0], np.float32) for name in PIANO_NAMES}


def _to_json(value):
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.tolist()
    return [{"b64": base64.b64encode(item).decode()} for item in value]


def _outputs(value, signature):
    """A column answer as arrays; the only output comes without its name."""
    if not isinstance(value, dict):
        value = {ONLY_OUTPUTS.get(signature, "output"): value}
    return {name: _from_json(item) for name, item in value.items()}


def _from_json(value):
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return np.array([base64.b64decode(item["b64"]) for item in value], object)
    return np.asarray(value)
