"""Servers in this process, on free loopback ports, and graphs as quick as tests want them."""

import pytest

from style_transfer.serving.server.limits import Limits


@pytest.fixture(scope="session")
def small_limits():
    return Limits(body_bytes=1 << 20, batch_size=4, clip_secs=30.0, content_secs=60.0, notes=500,
                  adapt_steps=10, workers=2, queue=2, read_secs=2.0, compute_secs=20.0)


@pytest.fixture(scope="module")
def graphs_as_they_are():
    """Optimizing the graphs takes longer than running them in tests."""
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


@pytest.fixture(scope="module")
def stand_in():
    from tests.serving.stand_in import StandIn

    return StandIn()


@pytest.fixture(scope="module")
def server(stand_in, small_limits):
    from style_transfer.serving.server.models import Models
    from style_transfer.serving.server.run import Server

    models = Models([stand_in.served(small_limits), stand_in.served(small_limits, version=2)])
    with Server(models, small_limits, rest_port=0, grpc_port=0) as running:
        yield running
