"""Start, follow and end background jobs under Hermes' keepers, and under what people use instead.

Argument: samples. Prints JSON: quantity → name of the keeper → seconds or bytes. What happens in a job, the
job stamps itself: how often this looks is no part of a figure.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import quote
from typing import Protocol, TypeVar

from hermes_cli.processes.registry import Registry
from hermes_cli.processes.types import StartRequest

SAMPLES = int(sys.argv[1])
WORK = Path(tempfile.mkdtemp(prefix="bench-"))
STAMP = WORK / "stamp"
FLOOD = 100 << 20
CHUNK = 1 << 16
TRACKED = 64

# Writes its output, then for how long that took: the time a command is held up by whoever keeps its output.
FLOODER = WORK / "flooder.py"
FLOODER.write_text(
    "import os, time\n"
    f"line = b'x' * 99 + b'\\n'\nchunk = line * {CHUNK // 100}\nleft = {FLOOD}\nbegan = time.perf_counter()\n"
    "while left > 0:\n    left -= os.write(1, chunk)\n"
    f"open({str(STAMP)!r} + '.new', 'w').write(str(time.perf_counter() - began))\n"
    f"os.rename({str(STAMP)!r} + '.new', {str(STAMP)!r})\n"
)
START = f"date +%s%N >{STAMP}.new; mv {STAMP}.new {STAMP}"
LAST_WORD = f"sleep 0.3; date +%s%N >{STAMP}.new; mv {STAMP}.new {STAMP}"
SLEEP = f"echo $$ >{STAMP}.new; mv {STAMP}.new {STAMP}; exec sleep 60"

registry = Registry(WORK / "processes")


T = TypeVar("T")


class Keeper(Protocol):
    name: str

    def start(self, line: str) -> None: ...

    def wait(self) -> None: ...


def quiet(*argv: str) -> None:
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def stamp() -> str:
    """The word that the job left, waited for."""
    deadline = time.monotonic() + 60
    while not STAMP.exists():
        if time.monotonic() > deadline:
            sys.exit("a job did not say anything")
        time.sleep(0.002)
    word = STAMP.read_text().split()[0]
    STAMP.unlink()
    return word


class Hermes:
    name = "hermes"
    watch: tuple[str, ...] = ()

    def start(self, line: str) -> None:
        self.id = registry.start(
            StartRequest(command=line, watch_patterns=self.watch, cwd=str(WORK))
        ).session_id

    def wait(self) -> None:
        registry.wait(self.id, 60)


class Watched(Hermes):
    name = "hermes, watched"
    watch = ("needle",)


class Plain:
    """No keeper at all: the output goes with its parent."""

    name = "subprocess"

    def start(self, line: str) -> None:
        self.output = (WORK / "plain").open("wb")
        self.process = subprocess.Popen(["/bin/sh", "-c", line], stdout=self.output, stdin=subprocess.DEVNULL)

    def wait(self) -> None:
        self.process.wait()


class Spooler:
    name = "task-spooler"

    def start(self, line: str) -> None:
        self.id = subprocess.check_output(["tsp", "/bin/sh", "-c", line], text=True).strip()

    def wait(self) -> None:
        subprocess.run(["tsp", "-w", self.id], check=False, stdout=subprocess.DEVNULL)


class Nq:
    name = "nq"

    def start(self, line: str) -> None:
        self.id = subprocess.check_output(["nq", "/bin/sh", "-c", line], text=True).strip()

    def wait(self) -> None:
        subprocess.run(["nq", "-w", self.id], check=False)


class Tmux:
    name = "tmux"

    def __init__(self) -> None:
        quiet("tmux", "new-session", "-d", "-s", "stays", "exec sleep 3600")

    def start(self, line: str) -> None:
        quiet("tmux", "new-session", "-d", "-s", "bench", f"sh -c {quote(line)}; tmux wait-for -S done")

    def wait(self) -> None:
        quiet("tmux", "wait-for", "done")


class Supervisord:
    """One program whose command is a file; supervisorctl has no waiting for an end."""

    name = "supervisord"

    def __init__(self) -> None:
        self.command = WORK / "supervised"
        self.command.write_text("#!/bin/sh\n")
        self.command.chmod(0o755)
        settings = WORK / "supervisord.conf"
        settings.write_text(
            f"[supervisord]\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={WORK}/supervisord.pid\n"
            f"[unix_http_server]\nfile={WORK}/supervisor.sock\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[supervisorctl]\nserverurl=unix://{WORK}/supervisor.sock\n"
            f"[program:job]\ncommand={self.command}\nautostart=false\nautorestart=false\nstartsecs=0\n"
            f"stdout_logfile={WORK}/supervised.log\nstdout_logfile_maxbytes=8MB\nstdout_logfile_backups=1\n"
        )
        self.control = ["supervisorctl", "-c", str(settings)]
        self.daemon = subprocess.Popen(["supervisord", "-n", "-c", str(settings)], stdout=subprocess.DEVNULL)
        while not (WORK / "supervisor.sock").exists():
            time.sleep(0.01)

    def start(self, line: str) -> None:
        self.command.write_text(f"#!/bin/sh\n{line}\n")
        quiet(*self.control, "start", "job")

    def wait(self) -> None:
        while "RUNNING" in subprocess.run([*self.control, "status"], capture_output=True, text=True).stdout:
            pass


def started(keeper: Keeper) -> float:
    """From the call until the command runs."""
    began = time.time_ns()
    keeper.start(START)
    took = (int(stamp()) - began) / 1e9
    keeper.wait()
    return took


def told(keeper: Keeper) -> float:
    """From the command's last word until a waiter hears of its end."""
    keeper.start(LAST_WORD)
    keeper.wait()
    heard = time.time_ns()
    return (heard - int(stamp())) / 1e9


def flooded(keeper: Keeper) -> float:
    """Seconds that the command needs to write 100 MB."""
    keeper.start(f"exec {sys.executable} {FLOODER}")
    took = float(stamp()) * 100e6 / FLOOD
    keeper.wait()
    return took


def private(keeper: Keeper) -> tuple[float, float]:
    """Bytes of memory that the command's parent has to itself, while the command sleeps."""
    keeper.start(SLEEP)
    pid = stamp()
    parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    lines = Path(f"/proc/{parent}/smaps_rollup").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines[1:]}
    os.kill(int(pid), signal.SIGTERM)
    keeper.wait()
    return sizes["Private_Clean"] + sizes["Private_Dirty"], sizes["Rss"]


def measure(take: Callable[[Keeper], T], keepers: Sequence[Keeper], samples: int) -> dict[str, list[T]]:
    """In turns; the first of each warms caches and is thrown away."""
    found: dict[str, list[T]] = {keeper.name: [] for keeper in keepers}
    for turn in range(samples + 1):
        for keeper in keepers:
            sample = take(keeper)
            if turn:
                found[keeper.name].append(sample)
    return found


def looked(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def main() -> None:
    os.environ["NQDIR"] = str(WORK)
    os.environ["TMPDIR"] = str(WORK)
    os.chdir(WORK)
    supervisord = Supervisord()
    hermes, plain, spooler, nq, tmux = Hermes(), Plain(), Spooler(), Nq(), Tmux()
    result = {
        "start": measure(started, [hermes, plain, spooler, nq, tmux, supervisord], SAMPLES),
        "wait": measure(told, [hermes, plain, spooler, nq, tmux], SAMPLES),
        "output": measure(flooded, [Watched(), plain, spooler, nq, tmux, supervisord], max(2, SAMPLES // 3)),
    }
    for second in (Hermes(), Hermes()):  # pages that all keepers share are nobody's own
        second.start("sleep 60")
    sizes = measure(private, [hermes, spooler, nq, tmux, supervisord], 2)
    result["private"] = {name: [sample[0] for sample in samples] for name, samples in sizes.items()}
    result["resident"] = {name: [sample[1] for sample in samples] for name, samples in sizes.items()}
    registry.kill_all(1.0)
    for number in range(TRACKED):
        last = registry.start(StartRequest(command=f"echo {number}; exec sleep 60")).session_id
    registry.list()
    result["list"] = {"hermes": [looked(registry.list) for _ in range(SAMPLES)]}
    result["poll"] = {"hermes": [looked(lambda: registry.poll(last, 0)) for _ in range(SAMPLES)]}
    registry.kill_all(1.0)
    print(json.dumps(result))
    supervisord.daemon.terminate()
    supervisord.daemon.wait()
    for argv in (["tsp", "-K"], ["tmux", "kill-server"]):
        with contextlib.suppress(OSError):
            subprocess.run(argv, check=False, stderr=subprocess.DEVNULL)


main()
