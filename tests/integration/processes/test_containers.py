"""What only containers do: stop, restart, pause, get lost; and the one that is made for a profile."""

from __future__ import annotations

import gc
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.home import Home
from hermes_cli.processes.environments import Environment, discard_sandboxes, end_in_sandbox, open_environment
from hermes_cli.processes.environments.remote import RemoteEnvironment
from hermes_cli.processes.environments.selection import sandbox_identity
from hermes_cli.processes.errors import EnvironmentUnusableError
from hermes_cli.processes.outbox import Outbox
from hermes_cli.processes.types import Owner, StartRequest
from hermes_cli.profiles import create_profile, delete_profile
from tests.integration.processes.sandboxes import (
    DockerSandbox,
    base_image,
    docker,
    engine_answers,
    sandbox_image,
    wait_for,
)

pytestmark = [
    pytest.mark.xdist_group("sandbox-docker"),
    pytest.mark.skipif(not engine_answers(), reason="no Docker engine answers (scripts/ensure-docker)"),
]

Box = Callable[..., DockerSandbox]


def start(environment: Environment, command: str, **options: Any) -> str:
    return environment.start(StartRequest(command=command, **options)).session_id


@pytest.fixture
def box() -> Iterator[Box]:
    made: list[DockerSandbox] = []

    def new(*options: str, image: str | None = None) -> DockerSandbox:
        made.append(DockerSandbox(*options, image=image))
        return made[-1]

    yield new
    for one in made:
        one.close()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Of a profile whose name nobody else has."""
    home = Home(f"t{uuid.uuid4().hex[:8]}", tmp_path)
    home.path.mkdir(parents=True)
    yield home
    home.config.write_text("terminal:\n  environment: local\n")
    discard_sandboxes(home)


def configured(home: Home, **settings: object) -> RemoteEnvironment:
    lines = "".join(f"    {key}: {value}\n" for key, value in settings.items())
    home.config.write_text(f"terminal:\n  environment: docker\n  docker:\n{lines}")
    environment = open_environment(home)
    assert isinstance(environment, RemoteEnvironment)
    return environment


def refusal(environment: Environment) -> EnvironmentUnusableError:
    with pytest.raises(EnvironmentUnusableError) as refused:
        environment.list()
    return refused.value


def test_a_restarted_container_has_lost_its_processes_and_says_so(box: Box) -> None:
    there = box()
    environment = there.environment("p")
    done = start(environment, "echo kept; exit 3")
    environment.wait(done, 20)
    lost = start(environment, "echo words; sleep 600", notify_on_complete=True)
    wait_for(lambda: environment.poll(lost).output, 10, "output")
    docker("restart", "--time", "0", there.container)
    polled = environment.poll(lost, cursor=0)
    assert (polled.status, polled.output) == ("lost", "words\n")
    assert polled.reason == "the container restarted"
    [news] = environment.collect_events({}, 5.0)
    assert (news.session_id, news.events[0]["state"]) == (lost, "lost")
    assert news.events[0]["output"] == "words\n"
    polled = environment.poll(done, cursor=0)
    assert (polled.status, polled.exit_code, polled.output) == ("exited", 3, "kept\n")
    assert environment.wait(start(environment, "echo new"), 20).output == "new\n"
    environment.disconnect()


def test_a_stopped_container_is_named_and_used_again_when_it_runs(box: Box) -> None:
    there = box()
    environment = there.environment("p")
    done = start(environment, "echo kept")
    environment.wait(done, 20)
    docker("stop", "--time", "0", there.container)
    for _ in range(2):
        refused = refusal(environment)
        assert refused.cause == "not_running"
        assert f"docker start {there.container}" in str(refused)
    docker("start", there.container)
    assert environment.poll(done, cursor=0).output == "kept\n"
    docker("pause", there.container)
    environment.disconnect()
    refused = refusal(environment)
    assert (refused.cause, f"docker unpause {there.container}" in str(refused)) == ("not_running", True)
    docker("unpause", there.container)
    assert environment.poll(done, cursor=0).output == "kept\n"
    environment.disconnect()


def test_a_container_that_is_removed_in_the_middle_is_named(box: Box) -> None:
    there = box()
    environment = there.environment("p")
    start(environment, "sleep 60")
    docker("rm", "--force", there.container)
    refused = refusal(environment)
    assert refused.cause == "no_container"
    assert there.container in str(refused)


def test_without_python_or_a_shell_it_is_said_what_is_missing(box: Box) -> None:
    refused = refusal(box(image=base_image()).environment("p"))
    assert refused.cause == "no_python"
    assert "python3, 3.10 or newer" in str(refused)
    there = box()
    there.sh("rm /bin/sh")
    refused = refusal(there.environment("p"))
    assert refused.cause == "no_python"
    assert "/bin/sh" in str(refused)


def test_a_user_without_a_home_keeps_processes_where_it_can_write(box: Box) -> None:
    there = box("--user", "1234:1234")
    environment = there.environment("p")
    assert environment.wait(start(environment, "id -u; echo $HOME"), 20).output == "1234\n/\n"
    assert environment.about()["processes"] == "/var/tmp/hermes-1234/processes/p"
    environment.disconnect()
    assert len(there.environment("p").list()) == 1


def test_a_read_only_container_with_one_writable_place_will_do(box: Box) -> None:
    there = box("--read-only", "--tmpfs", "/tmp:noexec")
    environment = there.environment("p")
    assert environment.wait(start(environment, "echo fine"), 20).output == "fine\n"
    assert environment.about()["code"].startswith("/tmp/hermes-0/code/")
    environment.disconnect()
    sealed = box("--read-only", "--ipc", "none", "--user", "1234")
    assert refusal(sealed.environment("p")).cause == "read_only"


def test_what_somebody_else_prepared_in_tmp_is_not_trusted(box: Box) -> None:
    there = box("--user", "1234:1234")
    for place in ("/var/tmp", "/tmp"):
        docker("exec", "--user", "0", there.container, "mkdir", "-m", "777", f"{place}/hermes-1234")
    docker("exec", "--user", "0", there.container, "ln", "-s", "/tmp", "/dev/shm/hermes-1234")
    assert refusal(there.environment("p")).cause == "read_only"


def test_a_container_is_made_for_the_profile_with_limits_and_nothing_of_the_host(home: Home) -> None:
    environment = configured(home, image=sandbox_image(), memory=256, cpus=0.5)
    name = f"hermes-sandbox-{sandbox_identity(home).name}"
    session_id = start(environment, "ls /var/run/docker.sock; cat /proc/self/status; pwd; sleep 60")
    wait_for(lambda: "/work" in environment.poll(session_id, cursor=0).output, 10, "output")
    output = environment.poll(session_id, cursor=0).output
    assert "cannot access" in output
    assert "NoNewPrivs:\t1" in output
    limits = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}"
    asked = f"{limits} {{{{len .Mounts}}}} {{{{.HostConfig.Privileged}}}}"
    memory, cpus, pids, mounts, privileged = docker("inspect", "-f", asked, name).split()
    assert (int(memory), int(cpus), mounts, privileged) == (256 << 20, 500_000_000, "0", "false")
    assert int(pids) > 0
    # Another command of the profile finds the same, and a stopped one is started again.
    again = configured(home, image=sandbox_image(), memory=256, cpus=0.5)
    assert [row.session_id for row in again.list()] == [session_id]
    docker("stop", "--time", "0", name)
    assert again.poll(session_id).status == "lost"
    environment.disconnect()
    again.disconnect()


def test_the_profiles_container_goes_with_the_profile_and_no_other(home: Home, box: Box) -> None:
    other = box("--label", "ai.hermes.sandbox=somebody-else")
    environment = configured(home, image=sandbox_image())
    start(environment, "sleep 60")
    environment.disconnect()
    assert discard_sandboxes(home) == 1
    assert discard_sandboxes(home) == 0
    assert docker("inspect", "-f", "{{.State.Running}}", other.container).strip() == "true"


def test_a_profiles_processes_in_somebody_elses_container_end_with_it(home: Home, box: Box) -> None:
    there = box()
    environment = configured(home, container=there.container)
    session_id = start(environment, "sleep 60")
    assert end_in_sandbox(home) == 1
    assert environment.poll(session_id).status == "killed"
    start(environment, "sleep 60")
    assert discard_sandboxes(home) == 0
    assert environment.running_count() == 0
    environment.disconnect()
    docker("stop", "--time", "0", there.container)
    with pytest.raises(EnvironmentUnusableError, match=r"terminal\.environment set to local") as refused:
        discard_sandboxes(home)
    assert refused.value.cause == "not_running"
    home.config.write_text("terminal:\n  environment: local\n")
    assert discard_sandboxes(home) == 0


def test_a_deleted_profile_takes_its_container_with_it(tmp_path: Path) -> None:
    name = f"t{uuid.uuid4().hex[:8]}"
    create_profile(name, root=tmp_path)
    home = Home(name, tmp_path)
    environment = configured(home, image=sandbox_image())
    start(environment, "sleep 60")
    container = f"hermes-sandbox-{sandbox_identity(home).name}"
    environment.disconnect()
    delete_profile(name, root=tmp_path)
    assert not docker("ps", "--all", "--quiet", "--filter", f"name={container}")
    assert not home.path.exists()


def test_another_image_than_the_containers_is_not_used_silently(home: Home) -> None:
    environment = configured(home, image=sandbox_image())
    environment.list()
    environment.disconnect()
    refused = refusal(configured(home, image="debian:other"))
    assert refused.cause == "no_container"
    assert "docker rm -f" in str(refused)


def test_an_image_that_is_not_there_is_named(home: Home) -> None:
    refused = refusal(configured(home, image="hermes-test-no-such-image:1"))
    assert refused.cause == "no_image"
    assert "docker pull hermes-test-no-such-image:1" in str(refused)


def test_a_container_that_is_not_there_is_named(home: Home) -> None:
    refused = refusal(configured(home, container="hermes-test-no-such-container"))
    assert (refused.cause, "no container hermes-test-no-such-container" in str(refused)) == (
        "no_container",
        True,
    )


# The SDK leaves the socket that could not be connected to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_does_not_answer_is_said(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment = configured(home, container="any")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    refused = refusal(environment)
    assert (refused.cause, "is it running" in str(refused)) == ("no_engine", True)
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert refusal(environment).cause == "no_engine"
    # Here, where it is ignored, and not in whichever test comes next: the error's traceback holds it.
    del refused
    gc.collect()


def test_what_a_sandbox_claims_for_somebody_else_is_told_to_nobody(home: Home) -> None:
    environment = configured(home, image=sandbox_image())
    mine, theirs = Owner(session_key="mine"), Owner(session_key="theirs")
    for owner in (mine, theirs):
        start(environment, "echo hello", notify_on_complete=True, owner=owner)
    wait_for(lambda: len(environment.collect_events({}, 1.0)) == 2, 20, "two ends")
    state = environment.about()["processes"]
    there = f"hermes-sandbox-{sandbox_identity(home).name}"
    docker("exec", there, "sh", "-c", f'sed -i \'s/"mine"/"theirs"/\' {state}/*/spec.json')
    environment.disconnect()
    with closing(Outbox(home.processes)) as outbox:
        assert outbox.take("docker", environment) == 1
        assert len(outbox.pending("theirs")) == 1
        assert outbox.pending("mine") == outbox.pending(None) == []
        assert outbox.take("docker", environment) == 0
    environment.disconnect()


def test_two_commands_at_once_make_one_container(home: Home) -> None:
    from concurrent.futures import ThreadPoolExecutor

    clients = [configured(home, image=sandbox_image()) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        ids = list(pool.map(lambda one: start(one, "sleep 60"), clients))
    assert {row.session_id for row in clients[0].list()} == set(ids)
    for one in clients:
        one.disconnect()
