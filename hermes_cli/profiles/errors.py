"""What can go wrong with a profile, as types; messages name the profile, the cause and the next step."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class ProfileError(Exception):
    """Anything that could not be done to a profile. `str(error)` is one sentence a user can act on."""

    def __init__(self, profile: str, message: str) -> None:
        super().__init__(message)
        self.profile = profile


class ProfileExistsError(ProfileError):
    """The name is taken."""

    def __init__(self, profile: str, path: Path) -> None:
        super().__init__(
            profile,
            f"profile {profile!r} already exists at {path}; choose another name, "
            f"or delete it first with 'hermes profile delete {profile}'",
        )


class ProfileNotFoundError(ProfileError):
    """There is no such profile. `known` are the names that exist, to propose the nearest."""

    def __init__(self, profile: str, known: Iterable[str] = ()) -> None:
        from difflib import get_close_matches

        near = get_close_matches(profile, list(known), n=1)
        hint = (
            f"did you mean {near[0]!r}?"
            if near
            else f"'hermes profile list' shows what exists, 'hermes profile create {profile}' makes it"
        )
        super().__init__(profile, f"there is no profile {profile!r}; {hint}")


class ReservedProfileError(ProfileError):
    """The operation makes no sense for `default`, whose home is the root home itself."""

    def __init__(self, profile: str, action: str) -> None:
        super().__init__(
            profile, f"profile {profile!r} cannot be {action}: its home is the root home, which always exists"
        )


class NotAProfileError(ProfileError):
    """Something is where the profile's home should be, and it is not one."""

    def __init__(self, profile: str, path: Path, what: str) -> None:
        super().__init__(profile, f"{path} is {what}, not a profile's home; move it away or mend it")
        self.path = path


class GatewayRunningError(ProfileError):
    """A gateway runs that no service manager here can stop."""

    def __init__(self, profile: str, pid: int) -> None:
        super().__init__(
            profile,
            f"the gateway of profile {profile!r} still runs, as pid {pid}; end it first "
            f"(^C where it runs, or 'kill {pid}')",
        )
        self.pid = pid


class PortTakenError(ProfileError):
    """Two profiles want one port."""

    def __init__(self, profile: str, port: int, holder: str) -> None:
        super().__init__(
            profile,
            f"port {port} of profile {profile!r} belongs to profile {holder!r} already; "
            f"choose another with 'hermes -p {profile} config set gateway.port PORT'",
        )
        self.port = port
        self.holder = holder


class StorageError(ProfileError):
    """The home cannot be written: read-only, full, or somebody else's."""

    def __init__(self, profile: str, action: str, cause: OSError, path: Path) -> None:
        import errno

        named = {
            errno.ENOSPC: "the disk is full; free some space and try again",
            errno.EDQUOT: "the disk quota is used up; free some space and try again",
            errno.EROFS: "the file system is read-only; mount it writable and try again",
            errno.EACCES: "this user may not write there; 'hermes doctor' shows who owns it",
            errno.EPERM: "this user may not write there; 'hermes doctor' shows who owns it",
        }
        remedy = named.get(cause.errno or 0, cause.strerror or str(cause))
        super().__init__(profile, f"could not {action} profile {profile!r} at {path}: {remedy}")
        self.path = path
