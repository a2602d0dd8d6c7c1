"""The library as a program with types uses it. mypy and pyright check this file, and nothing runs it.

Each `ignore` is a promise as well: both checkers say so when what it stands for becomes possible.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, assert_type

from hermes_cli.service_manager import (
    ConflictingInstallError,
    GatewayNotRegisteredError,
    HostCommandError,
    InvalidNameError,
    LaunchdServiceManager,
    NoServiceManagerError,
    RenderedFile,
    RestartPolicy,
    S6ServiceManager,
    ServiceEditedError,
    ServiceError,
    ServiceManager,
    ServiceManagerKind,
    ServiceParkedError,
    ServiceSpec,
    ServiceStatus,
    ServiceTimeoutError,
    SystemdServiceManager,
    UnsupportedSpecError,
    WindowsServiceManager,
    detect_service_manager,
    get_service_manager,
    validate_profile_name,
)


def every_backend_is_a_service_manager() -> list[ServiceManager]:
    return [
        S6ServiceManager(),
        SystemdServiceManager("user"),
        SystemdServiceManager("system"),
        LaunchdServiceManager(),
        WindowsServiceManager(),
    ]


def a_backend_is_chosen_or_named() -> None:
    assert_type(detect_service_manager(), ServiceManagerKind)
    assert_type(detect_service_manager(), Literal["systemd", "launchd", "windows", "s6", "none"])
    assert_type(get_service_manager(), ServiceManager)
    assert_type(get_service_manager("systemd", level="system"), ServiceManager)
    get_service_manager("upstart")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    get_service_manager("systemd", level="both")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SystemdServiceManager("both")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def every_verb_has_its_type(manager: ServiceManager, spec: ServiceSpec) -> None:
    assert_type(manager.kind, ServiceManagerKind)
    assert_type(manager.status("web"), ServiceStatus)
    assert_type(manager.status_all(), dict[str, ServiceStatus])
    assert_type(manager.status_all(name for name in ("web", "queue")), dict[str, ServiceStatus])
    assert_type(manager.is_running("web"), bool)
    assert_type(manager.logs("web", lines=5, follow=True), Iterator[str])
    assert_type(manager.render(spec), list[RenderedFile])
    assert_type(manager.supports_runtime_registration(), bool)
    assert_type(manager.list_profile_gateways(), list[str])
    manager.install(spec)
    manager.install(spec, force=True)
    manager.start("web")
    manager.restart("web")
    manager.stop("web")
    manager.uninstall("web")
    manager.register_profile_gateway("coder", extra_env={"COLOUR": "blue"}, start_now=True)
    manager.unregister_profile_gateway("coder")
    manager.start(Path("web"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    manager.install(spec, True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    manager.logs("web", 5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    manager.kind = "s6"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def a_specification_takes_what_it_says() -> ServiceSpec:
    policy = RestartPolicy(
        first_delay=0.5, backoff=(1, 5), max_unclean_starts=3, permanent_exit_codes=(64, 78)
    )
    assert_type(policy.delay_before(2), float)
    spec = ServiceSpec(
        name="web",
        command=("/usr/bin/python3", "-m", "http.server"),
        description="Files over HTTP",
        working_directory=Path("/srv"),
        environment={"LANG": "C.UTF-8"},
        stdout=Path("/var/log/web.log"),
        notify=False,
        start_timeout=5,
        stop_timeout=5,
        kill_children=True,
        start_at_boot=False,
        restart=policy,
        user="nobody",
        keeps_own_ledger=False,
    )
    spec.name = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    ServiceSpec("web", ["/bin/true"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ServiceSpec("web")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    return spec


def a_status_can_be_read(status: ServiceStatus) -> None:
    assert_type(status.in_words(), str)
    assert_type(status.name, str)
    assert_type(status.registered, bool)
    assert_type(status.running, bool)
    assert_type(status.ready, bool)
    assert_type(status.wanted, bool)
    assert_type(status.parked, bool)
    assert_type(status.answering, bool)
    assert_type(status.pid, int | None)
    assert_type(status.since, float | None)
    assert_type(status.ready_since, float | None)
    assert_type(status.exit_code, int | None)
    assert_type(status.exit_signal, str | None)
    assert_type(status.restarts, int | None)
    assert_type(status.detail, str)


def a_rendered_file_can_be_read(file: RenderedFile) -> None:
    assert_type(file.path, Path)
    assert_type(file.content, str)
    assert_type(file.mode, int)


def errors_carry_what_they_know(manager: ServiceManager) -> None:
    try:
        manager.start(validate_profile_name("web"))
    except GatewayNotRegisteredError as error:
        assert_type(error.service, str)
        assert_type(error.profile, str)
    except ServiceParkedError as error:
        assert_type(error.reason, str)
    except ServiceTimeoutError as error:
        assert_type(error.timeout, float)
        assert_type(error.last_seen, str)
    except HostCommandError as error:
        assert_type(error.returncode, int)
        assert_type(error.stderr, str)
    except ServiceEditedError as error:
        assert_type(error.path, str)
    except ConflictingInstallError as error:
        assert_type(error.places, tuple[str, ...])
    except UnsupportedSpecError as error:
        assert_type(error.field, str)
    except NoServiceManagerError as error:
        assert_type(error.kind, str)
    except InvalidNameError as error:
        assert_type(error.rule, str)
    except ServiceError as error:
        assert_type(str(error), str)


class AnyOther:
    """A manager of one's own needs no base class, only the methods."""

    def start(self, name: str) -> None: ...


def what_lacks_a_method_is_no_manager() -> ServiceManager:
    return AnyOther()  # type: ignore[return-value]  # pyright: ignore[reportReturnType]
