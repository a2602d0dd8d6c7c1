"""Fixtures of the tests on the built image: a Docker client a worker, and what each test has in Docker."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest
from docker.errors import ImageNotFound

from tests.docker.containers import IMAGE, Docker


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    client = docker.from_env(timeout=90)
    try:
        client.images.get(IMAGE)
    except ImageNotFound:
        pytest.fail(
            f"there is no image {IMAGE}: scripts/build-image makes it, or HERMES_TEST_IMAGE names another"
        )
    yield client
    client.close()


@pytest.fixture
def engine(client: docker.DockerClient) -> Iterator[Docker]:
    engine = Docker(client)
    yield engine
    engine.clean()
