"""The `backend` of a case: every one that can do what the case needs, each kept for the whole session."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.hosts.backends import BACKENDS, Backend, Service, chosen, make


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "only(name, …): the case is for these backends")
    config.addinivalue_line(
        "markers", "needs(trait): the case is for backends with that trait (backends.Traits)"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" not in metafunc.fixturenames:
        return
    wanted = [mark.args[0] for mark in metafunc.definition.iter_markers("needs")]
    names = [name for name in chosen() if all(getattr(BACKENDS[name][1], trait) for trait in wanted)]
    for mark in metafunc.definition.iter_markers("only"):
        wanted += mark.args
        names = [name for name in names if name in mark.args]
    # One worker has all of a backend: a container each, not one for every worker.
    values = [pytest.param(name, marks=pytest.mark.xdist_group(f"hosts-{name}")) for name in names]
    if not values:
        values = [pytest.param("none", marks=pytest.mark.skip(f"no chosen backend is {' or '.join(wanted)}"))]
    metafunc.parametrize("backend", values, indirect=True)


@pytest.fixture(scope="session")
def pool() -> Iterator[dict[str, Backend]]:
    """Not parametrised: pytest would end one backend to begin the next, at every change in a random order."""
    made: dict[str, Backend] = {}
    yield made
    for one in made.values():
        one.close()


@pytest.fixture
def backend(request: pytest.FixtureRequest, pool: dict[str, Backend]) -> Backend:
    name: str = request.param
    if name not in pool:
        pool[name] = make(name)
    return pool[name]


@pytest.fixture
def services(backend: Backend) -> Iterator[Callable[[], Service]]:
    """Makes services, with names nobody has had, and removes them after the test."""
    made: list[Service] = []

    def new() -> Service:
        service = Service(backend, f"gateway-{uuid.uuid4().hex[:10]}")
        service.behave({})
        made.append(service)
        return service

    yield new
    for one in made:
        one.remove()


@pytest.fixture
def service(services: Callable[[], Service]) -> Service:
    """A service of the test's own, not installed yet, that gets ready at once and stays."""
    return services()
