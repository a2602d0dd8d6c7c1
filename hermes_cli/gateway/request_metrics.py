"""Requests counted by what they were for, not by their paths: whoever asks decides over paths."""

from __future__ import annotations

from collections import Counter

from hermes_cli.serving.exposition import Histogram, Labels, Metric, counter

_ROUTES = {
    "healthz": "probe",
    "readyz": "probe",
    "metrics": "metrics",
    "openapi.json": "status",
    "v1/status": "status",
    "v1/capabilities": "status",
    "v1/events": "events",
    "v1/runs": "runs",
    "v1/sessions": "sessions",
    "v1/processes": "processes",
}
ROUTES = (*dict.fromkeys(_ROUTES.values()), "other")
"""Every value of the label `route`."""

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
"""Seconds. What waits for news (`wait=`) takes as long as it was asked to."""


def route_of(path: str) -> str:
    """The class of a path, one of `ROUTES`."""
    first, _, rest = path[1:].partition("/")
    return _ROUTES.get(f"v1/{rest.partition('/')[0]}" if first == "v1" else path[1:], "other")


class RequestTally:
    """One for a gateway's life."""

    def __init__(self) -> None:
        self._answers: Counter[tuple[str, str, int]] = Counter()
        self._seconds: dict[str, Histogram] = {}

    def answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count an answer whose headers went out `seconds` after the request had come."""
        route = route_of(path)
        self._answers[route, method, status] += 1
        histogram = self._seconds.get(route)
        if histogram is None:
            histogram = self._seconds[route] = Histogram(_BOUNDS)
        histogram.observe(seconds)

    def metrics(self) -> list[Metric]:
        counts: dict[Labels, float] = {
            (("route", route), ("method", method), ("status", str(status))): count
            for (route, method, status), count in self._answers.items()
        }
        seconds = Metric(
            "hermes_gateway_request_seconds",
            "histogram",
            "Time from a request to the headers of its answer; streams and waits count until they begin.",
            suffixed=[
                sample
                for route, histogram in self._seconds.items()
                for sample in histogram.samples((("route", route),))
            ],
        )
        return [counter("hermes_gateway_requests_total", "Answered requests.", counts), seconds]
