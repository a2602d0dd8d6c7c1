"""A container with ten gateways up: what several rows look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from docker.models.containers import Container

from .context import PYTHON, USER, Bench

SIZE = 10
NAMES = tuple(f"bench{number}" for number in range(SIZE))

CREATE = (
    "import sys\n"
    "from hermes_cli.profiles import create_profile\n"
    "from hermes_cli.service_manager import get_service_manager\n"
    "manager = get_service_manager() if sys.argv[1] == 'register' else None\n"
    "for name in sys.argv[2:]: create_profile(name, manager=manager)\n"
)

ALL_READY = "cd /run/service && for slot in " + " ".join(f"gateway-{name}" for name in NAMES)
ALL_READY += '; do [ "$(s6-svstat -o ready "$slot")" = true ] || exit 1; done'


@contextmanager
def fleet(bench: Bench, *, up: bool = True) -> Iterator[Container]:
    """A container of the image, no command given, with ten profiles, their gateways ready if `up`."""
    engine = bench.engine
    with engine.container(bench.image) as container:
        engine.wait(container, booted(), "the container has booted")
        engine.run(container, [PYTHON, "-c", CREATE, "register", *NAMES], user=USER)
        if up:
            start_all(bench, container)
        yield container


def booted() -> str:
    """A shell condition: the slots have been made and the registrar listens."""
    return "s6-svok /run/service/gateway-default && test -S /run/hermes-registrar/s"


def start_all(bench: Bench, container: Container) -> None:
    """Start the ten gateways, all at once, and wait until each is ready."""
    starts = "".join(f"hermes -p {name} gateway start >/dev/null || touch /tmp/failed & " for name in NAMES)
    bench.engine.run(container, ["sh", "-c", f"{starts} wait; test ! -e /tmp/failed"], user=USER)
    bench.engine.wait(container, ALL_READY, "ten gateways are ready")
