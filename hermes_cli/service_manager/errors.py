"""What can go wrong with a service, as types. A message names the service, the cause, the next step."""

from __future__ import annotations

from collections.abc import Sequence


class ServiceError(Exception):
    """Anything a service manager could not do. `str(error)` is one sentence a user can act on."""


class InvalidNameError(ServiceError, ValueError):
    """A profile or service name outside the rule."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__(f"{name!r} is not a valid name: {rule}")
        self.name = name
        self.rule = rule


class GatewayNotRegisteredError(ServiceError):
    """There is no such service: it was never installed or registered, or has been removed."""

    def __init__(self, profile: str, service: str, remedy: str | None = None) -> None:
        if remedy is not None:
            message = f"{service} is not installed: {remedy}"
        elif service == f"gateway-{profile}":
            message = (
                f"{service} is not registered: create the profile with 'hermes profile create {profile}', "
                "or if it exists, let 'hermes doctor --fix' register it"
            )
        else:
            message = f"there is no service {service} here"
        super().__init__(message)
        self.profile = profile
        self.service = service


def _command(service: str) -> str:
    """What a command on the profile of `service` begins with."""
    profile = service.removeprefix("gateway-")
    return "hermes" if profile in (service, "default") else f"hermes -p {profile}"


class S6CommandError(ServiceError):
    """An s6 program failed. `returncode` and `stderr` are its own."""

    def __init__(self, service: str, action: str, returncode: int, stderr: str) -> None:
        cause = stderr.strip().splitlines()[-1] if stderr.strip() else "it said nothing"
        super().__init__(
            f"could not {action} {service}: s6 answered {returncode} ({cause}); see 'hermes doctor'"
        )
        self.service = service
        self.action = action
        self.returncode = returncode
        self.stderr = stderr


class HostCommandError(ServiceError):
    """A program of the host's init (systemctl, launchctl, schtasks) failed. The answer is its own."""

    def __init__(self, service: str, action: str, program: str, returncode: int, stderr: str) -> None:
        cause = stderr.strip().splitlines()[-1] if stderr.strip() else "it said nothing"
        super().__init__(f"could not {action} {service}: {program} answered {returncode} ({cause})")
        self.service = service
        self.action = action
        self.program = program
        self.returncode = returncode
        self.stderr = stderr


class NoBusError(ServiceError):
    """The init runs, or should, but this user cannot reach it."""

    def __init__(self, service: str, action: str, remedy: str) -> None:
        super().__init__(f"could not {action} {service}: {remedy}")
        self.service = service
        self.action = action
        self.remedy = remedy


class ServiceMaskedError(ServiceError):
    """An administrator made the service impossible to start."""

    def __init__(self, service: str, path: str) -> None:
        super().__init__(f"{service} is masked ({path}): unmask it first")
        self.service = service
        self.path = path


class ServiceEditedError(ServiceError):
    """A file that an installation would replace was changed by hand."""

    def __init__(self, service: str, path: str) -> None:
        super().__init__(
            f"{path} of {service} was changed by hand: see the difference with --dry-run, "
            "and replace it with --force"
        )
        self.service = service
        self.path = path


class ConflictingInstallError(ServiceError):
    """The service is installed in two places, and a verb cannot mean both."""

    def __init__(self, service: str, places: Sequence[str]) -> None:
        super().__init__(f"{service} is installed twice ({' and '.join(places)}): uninstall one of them")
        self.service = service
        self.places = tuple(places)


class UnsupportedSpecError(ServiceError):
    """The init cannot do what a specification asks for."""

    def __init__(self, service: str, field: str, reason: str) -> None:
        super().__init__(f"{service} cannot have this {field} here: {reason}")
        self.service = service
        self.field = field
        self.reason = reason


class ServiceTimeoutError(ServiceError):
    """The service did not reach the state within the time. What was seen last is in the message."""

    def __init__(self, service: str, action: str, timeout: float, last_seen: str) -> None:
        super().__init__(
            f"{service} did not {action} within {timeout:g} s (last seen: {last_seen}); "
            f"see '{_command(service)} gateway logs' for what it says"
        )
        self.service = service
        self.action = action
        self.timeout = timeout
        self.last_seen = last_seen


class ServiceParkedError(ServiceError):
    """The service is down on purpose: a configuration error or a crash loop."""

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"{service} is parked: {reason}; mend the cause and start it again")
        self.service = service
        self.reason = reason


class PermissionDeniedError(ServiceError):
    """This user may not control the service."""

    def __init__(self, service: str, action: str, remedy: str) -> None:
        super().__init__(f"not allowed to {action} {service}: {remedy}")
        self.service = service
        self.action = action
        self.remedy = remedy


class SupervisorNotAnsweringError(ServiceError):
    """The service is registered, but nothing supervises it."""

    def __init__(self, service: str) -> None:
        super().__init__(
            f"the supervisor of {service} does not answer; 'hermes doctor' says why, "
            "restarting the container makes a new one"
        )
        self.service = service


class NoServiceManagerError(ServiceError):
    """There is nothing here that could keep a service up."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            "no service manager that Hermes can drive was found here "
            f"(detected: {kind}); run 'hermes gateway run' in the foreground instead"
        )
        self.kind = kind
