"""The files for TensorFlow Serving are what its own protos and Compose take."""

import pathlib
import re
import shlex

import pytest
import yaml
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from style_transfer import weights

SERVING = pathlib.Path(__file__).parents[2] / "scripts" / "serving"
# Of `tensorflow_model_server --help`, version 2.16.1; the image's entry point sets the first four.
FLAGS = {"port", "rest_api_port", "model_name", "model_base_path", "model_config_file",
         "enable_batching", "batching_parameters_file", "rest_api_timeout_in_ms",
         "monitoring_config_file", "grpc_max_threads", "tensorflow_session_parallelism"}
# Of `BatchingParameters` in session_bundle_config.proto, with the kinds of their values.
BATCHING = {"max_batch_size": "value: \\d+", "batch_timeout_micros": "value: \\d+",
            "max_enqueued_batches": "value: \\d+", "num_batch_threads": "value: \\d+",
            "pad_variable_length_inputs": "true|false"}


@pytest.fixture(scope="module")
def service():
    (found,) = yaml.safe_load((SERVING / "docker-compose.yml").read_text())["services"].values()
    return found


def test_the_model_config_is_one_and_names_models_that_can_be_exported():
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((SERVING / "models.config").read_text(), config)
    models = config.model_config_list.config
    assert {model.name for model in models} <= set(weights.names()) and models
    for model in models:
        assert model.base_path == f"/models/{model.name}"
        assert model.model_platform == "tensorflow"
        assert model.model_version_policy.latest.num_versions == 1


def test_the_batching_parameters_are_known_and_of_their_kinds():
    lines = (SERVING / "batching.config").read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    assert lines
    for line in lines:
        name, value = re.fullmatch(r"(\w+)(?:: (\w+)| { (.+) })", line).group(1), line
        assert re.search(BATCHING[name], value), line


def test_compose_and_the_line_in_the_readme_start_the_same_server(service):
    readme = (SERVING / "README.md").read_text()
    (line,) = re.findall(r"^docker run .*$", readme, re.MULTILINE)
    words = shlex.split(line)
    flags = [word for word in words if re.match(r"--\w+_\w+", word)]
    assert flags == service["command"] and service["image"] in words
    assert all(re.match(r"--(\w+)=", flag).group(1) in FLAGS for flag in flags)
    published = [word for before, word in zip(words, words[1:], strict=False) if before == "-p"]
    assert published == service["ports"]
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_compose_mounts_files_that_exist_where_the_flags_look_for_them(service):
    mounts = dict(reversed(volume.split(":")[:2]) for volume in service["volumes"])
    for flag in service["command"]:
        name, _, value = flag.partition("=")
        if name.endswith("_file"):
            assert (SERVING / mounts[value]).is_file()
    assert mounts["/models"] == "../../out/models"
    assert all(volume.endswith(":ro") for volume in service["volumes"])
