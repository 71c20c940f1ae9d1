"""Servers in this process, on free loopback ports."""

import pytest


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
