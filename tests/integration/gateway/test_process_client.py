"""Background processes as faces ask for them: typed answers, output that a killed gateway does not break."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hermes_cli.gateway.client import GatewayAnswerError, GatewayUnreachableError
from hermes_cli.gateway.process_api import StartBody
from hermes_cli.gateway.process_client import Ended, Output, ProcessClient

from .harness import Gateway, Yard, until


@pytest.fixture
def gateway(yard: Yard) -> Iterator[Gateway]:
    started = yard.start(yard.profile()).ready()
    yield started
    for gateway in yard.started[-1:]:
        if gateway.process.poll() is None:
            for row in gateway.client.processes.list().processes:
                gateway.client.processes.kill(row.session_id, grace=0)


@pytest.fixture
def processes(gateway: Gateway) -> ProcessClient:
    return gateway.client.processes


def text(items: list[Output | Ended]) -> str:
    return "".join(item.output for item in items if isinstance(item, Output))


def test_a_process_is_talked_to_from_its_start_to_its_end(processes: ProcessClient) -> None:
    started = processes.start(StartBody(command="read line; echo got $line; cat; exit 3"))
    assert started.status == "running"
    [row] = processes.list().processes
    assert (row.session_id, row.status) == (started.session_id, "running")
    assert processes.submit(started.session_id, "one").status == "ok"
    assert processes.write(started.session_id, b"two\n").bytes_written == 4
    page = processes.page(started.session_id, wait=20)
    while page.output != "got one\ntwo\n":
        page = processes.page(started.session_id, wait=5)
    assert processes.close(started.session_id).status == "closed"
    *pieces, ended = processes.follow(started.session_id[:9])
    assert text(pieces) == "got one\ntwo\n"
    assert isinstance(ended, Ended)
    assert (ended.status, ended.exit_code, ended.cursor) == ("exited", 3, 12)
    log = processes.log(started.session_id, 1, 1)
    assert (log.output, log.total_lines) == ("two", 2)


def test_it_is_killed_and_says_what_was_seen(processes: ProcessClient) -> None:
    started = processes.start(StartBody(command="sleep 1000", pty=True))
    assert processes.resize(started.session_id, 31, 123).status == "ok"
    assert processes.kill(started.session_id, grace=1).status == "killed"
    [ended] = [item for item in processes.follow(started.session_id) if isinstance(item, Ended)]
    assert ended.status == "killed"
    assert processes.poll(started.session_id).status == "killed"


def test_what_is_followed_goes_on_through_a_killed_gateway(yard: Yard, gateway: Gateway) -> None:
    processes = gateway.client.processes
    started = processes.start(StartBody(command="while read n; do echo line $n; done"))
    items: list[Output | Ended] = []
    reader = threading.Thread(target=lambda: items.extend(_kept(items, processes, started.session_id)))
    reader.start()
    for number in range(5):
        processes.submit(started.session_id, str(number))
    until("half of it was read", lambda: "line 4\n" in text(items))
    gateway.kill()
    gateway.ended()
    again = yard.start(gateway.home).ready()
    for number in range(5, 10):
        again.client.processes.submit(started.session_id, str(number))
    again.client.processes.close(started.session_id)
    reader.join(60)
    assert text(items) == "".join(f"line {number}\n" for number in range(10))
    assert isinstance(items[-1], Ended)
    assert [type(item) for item in items].count(Ended) == 1


def _kept(items: list[Output | Ended], processes: ProcessClient, process_id: str) -> Iterator[Output | Ended]:
    """Each item in `items` as it comes."""
    for item in processes.follow(process_id):
        items.append(item)
    yield from ()


def test_refusals_are_typed(processes: ProcessClient) -> None:
    for ask in (
        lambda: processes.poll("proc_feedfeedfeed"),
        lambda: list(processes.follow("proc_feedfeedfeed")),
        lambda: processes.kill("../status"),
    ):
        with pytest.raises(GatewayAnswerError) as refused:
            ask()
        assert refused.value.code == "not_found"
    with pytest.raises(GatewayAnswerError, match="environment"):
        processes.within("ssh").list()
    with pytest.raises(GatewayAnswerError) as nothing:
        processes.start(StartBody(argv=["/no/such/program"]))
    assert nothing.value.code == "cannot_start"


def test_where_no_gateway_is_that_is_said_at_once(yard: Yard) -> None:
    from hermes_cli.gateway.client import GatewayClient

    with pytest.raises(GatewayUnreachableError):
        next(GatewayClient(yard.profile()).processes.follow("proc_feed"))
