"""How often one may ask: guesses at the password, and forms that change something."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

FAILURES = 5
FAILURES_OF_ALL = 60
"""Wrong guesses in `WINDOW` seconds, from one address and from all together."""

WINDOW = 60.0

FORMS = 40
FORMS_WINDOW = 10.0
"""Forms of one visitor in so many seconds: more than hands can send, less than a script gone wild does."""

_MAX_KEYS = 1024

Clock = Callable[[], float]


class Window:
    """Counts what happened in the last seconds, for each key. Of too many keys the longest silent goes."""

    def __init__(self, limit: int, seconds: float, clock: Clock = time.monotonic) -> None:
        self._limit = limit
        self._seconds = seconds
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Seconds until it may happen again; 0 for at once."""
        times = self._times.get(key)
        if times is None or len(times) < self._limit:
            return 0.0
        return max(0.0, times[0] + self._seconds - self._clock())

    def count(self, key: str) -> None:
        """It has happened."""
        self._times.setdefault(key, deque(maxlen=self._limit)).append(self._clock())
        self._times.move_to_end(key)
        while len(self._times) > _MAX_KEYS:
            self._times.popitem(last=False)

    def forget(self, key: str) -> None:
        self._times.pop(key, None)


class Attempts:
    """Slows guessing: so many failures from an address, so many from everywhere."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._by_address = Window(FAILURES, WINDOW, clock)
        self._all = Window(FAILURES_OF_ALL, WINDOW, clock)

    def wait(self, address: str) -> float:
        """Seconds until `address` may try again; 0 for at once."""
        return max(self._by_address.wait(address), self._all.wait(""))

    def failed(self, address: str) -> None:
        self._by_address.count(address)
        self._all.count("")

    def succeeded(self, address: str) -> None:
        self._by_address.forget(address)
