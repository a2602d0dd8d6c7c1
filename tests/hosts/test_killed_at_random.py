"""A service killed a hundred times, whenever: each time it is what the restart policy says it is."""

from __future__ import annotations

import random
import time
from functools import partial

import pytest

from hermes_cli.service_manager import RestartPolicy
from tests.hosts.backends import Service
from tests.hosts.waiting import until

KILLS = 100
LONGEST_LIFE = 0.4
"""Seconds from a start to its kill, at most: some come before readiness, some after."""


def more_starts(service: Service, than: int) -> bool:
    return len(service.starts()) > than


def parked_or_back(service: Service, than: int) -> bool:
    return service.backend.manager.status(service.name).parked or more_starts(service, than)


@pytest.mark.only("s6", "systemd-user")
@pytest.mark.timeout(300)
def test_a_service_killed_a_hundred_times_is_always_what_the_policy_says(service: Service) -> None:
    backend = service.backend
    manager, limit = backend.manager, backend.traits.runs_before_parked
    service.behave({"ready": LONGEST_LIFE / 2})
    fields = {"restart": RestartPolicy(backoff=(0.1,), max_unclean_starts=limit, window=60.0)}
    manager.install(service.spec(**fields if backend.traits.any_program else {}))
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    starts, since_asked = 0, 0
    for kill in range(KILLS):
        if since_asked == 0:
            backend.intend(service.name, running=True)
            manager.start(service.name)
        story = f"kill {kill + 1}, {since_asked + 1} since a start was asked for (seed {seed})"
        until(partial(more_starts, service, starts), f"a start before {story}")
        starts = len(service.starts())
        time.sleep(chance.uniform(0, LONGEST_LIFE))
        backend.kill(service.starts()[-1].pid)
        since_asked += 1
        if since_asked >= limit:
            until(partial(parked_or_back, service, starts), f"parked, or back, after {story}")
            if since_asked == limit + backend.traits.runs_more or not more_starts(service, starts):
                until(lambda: manager.status(service.name).parked, f"parked by {story}")
                assert len(service.starts()) == starts, story
                since_asked = 0
    # A hundred is a multiple of no limit but by chance: it ends parked, or it is back.
    if since_asked == 0:
        assert manager.status(service.name).in_words() == "parked"
        assert service.running() == []
    else:
        until(lambda: manager.status(service.name).in_words() == "ready", "it is back from the last kill")
        until(lambda: len(service.running()) == 1, "one process of it")
    assert len(service.starts()) == (starts if since_asked == 0 else starts + 1)
