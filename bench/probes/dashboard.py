"""Look at a dashboard as browsers do, and time how soon they are told of a change.

Arguments: its address, its pid, how many pages to open, how often, a profile whose gateway is down, and one
whose gateway is ready. Prints JSON: `bytes` of the first paint as they come over the wire, `resident` bytes
with the pages open, seconds from an `order` (an intent is written) and from a `death` (SIGKILL) to the event.
"""

import gzip
import http.client
import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hermes_cli.gateway.records import IntentRecord, StateRecord
from hermes_cli.home import Home, load, save

address, pid, pages, samples, down, up = sys.argv[1:]
DEATHS = 3
"""More unclean ends in a short time, and the gateway would be parked."""


def ask(path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request("GET", path, headers=headers)
    return connection.getresponse()


def first_paint() -> int:
    wanted, total = ["/"], 0
    seen: set[str] = set()
    while wanted:
        path = wanted.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = ask(path, **{"accept-encoding": "gzip", "accept": "text/html"})
        body = answer.read()
        total += len(body)
        text = (gzip.decompress(body) if answer.headers["content-encoding"] == "gzip" else body).decode()
        wanted += re.findall(r'(?:src|href)="(/static/[^"]+)"', text)
        wanted += [f"{path.rpartition('/')[0]}/{name}" for name in re.findall(r'from "\./([^"]+)"', text)]
    return total


def events(stream: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    data = None
    while line := stream.readline():
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "data":
            data = json.loads(value)
        elif not name and data is not None:
            yield data
            data = None


def told(stream: Iterator[dict[str, Any]], profile: str, field: str, value: str | None = None) -> float:
    """Wait until a page is told that a field of a profile's row is another, or is `value`."""
    for change in stream:
        row = change.get("rows", {}).get(f"gateway-{profile}", {})
        if field in row and value in (None, row[field]):
            return time.perf_counter()
    sys.exit("the stream ended")


def order(stream: Iterator[dict[str, Any]], number: int) -> float:
    record = IntentRecord(intent="running" if number % 2 else "stopped", requested_at=time.time())
    began = time.perf_counter()
    save(Home.of(down).intent, record)
    return told(stream, down, "wanted") - began


def death(stream: Iterator[dict[str, Any]]) -> float:
    state = load(Home.of(up).state, StateRecord)
    if state is None:
        sys.exit(f"{up} never ran")
    began = time.perf_counter()
    os.kill(state.pid, signal.SIGKILL)
    took = told(stream, up, "actual") - began
    told(stream, up, "actual", "ready")
    return took


painted = first_paint()
streams = [events(ask("/events/status")) for _ in range(int(pages))]
for one in streams:
    next(one)
orders = [order(streams[0], number) for number in range(1, 2 * int(samples) + 1)]
deaths = [death(streams[0]) for _ in range(DEATHS)]
rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
resident = int(re.findall(r"^Rss: +(\d+) kB", rollup, re.MULTILINE)[0]) * 1024
print(json.dumps({"bytes": painted, "resident": resident, "order": orders[1:], "death": deaths}))
