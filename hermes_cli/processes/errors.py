"""What can go wrong with a background process, as types with stable codes. The message says what to do."""

from __future__ import annotations


class ProcessError(Exception):
    """Anything that could not be done with a background process."""

    code = "process_error"


class NoSuchProcessError(ProcessError):
    """No process of this profile has the id, or begins with the prefix."""

    code = "not_found"

    def __init__(self, given: str) -> None:
        super().__init__(f"there is no process {given!r}; 'hermes process list' shows all")
        self.given = given


class AmbiguousIdError(ProcessError):
    """Several processes begin with the prefix."""

    code = "ambiguous"

    def __init__(self, given: str, matches: list[str]) -> None:
        super().__init__(f"{given!r} begins {len(matches)} ids ({', '.join(matches[:5])}); give more of it")
        self.given = given
        self.matches = matches


class StartError(ProcessError):
    """The command could not be started: its directory, its shell, its program, a permission."""

    code = "cannot_start"


class TooManyProcessesError(ProcessError):
    """The limit of running processes, or of the disk they may use, is reached."""

    code = "limit"


class NotRunningError(ProcessError):
    """Input or a signal for a process that has ended."""

    code = "not_running"

    def __init__(self, process_id: str, state: str) -> None:
        super().__init__(f"{process_id} has ended ({state}); start the command again")
        self.process_id = process_id
        self.state = state


class StdinClosedError(ProcessError):
    """Input for a process whose stdin is closed, or was never open."""

    code = "stdin_closed"


class BadCursorError(ProcessError):
    """A cursor, an offset or a limit outside what there is."""

    code = "bad_cursor"


class BadPatternError(ProcessError):
    """A watch pattern that is empty, too long or no regular expression."""

    code = "bad_pattern"

    def __init__(self, pattern: str, cause: str) -> None:
        super().__init__(f"the watch pattern {pattern!r} cannot be used: {cause}")
        self.pattern = pattern


class KeeperUnreachableError(ProcessError):
    """The keeper of a running process does not answer."""

    code = "unreachable"


class EnvironmentUnusableError(ProcessError):
    """A sandbox that cannot be reached, or has no Python to run the keeper with.

    `cause` is one of a few words: no_python, no_client, no_engine, no_container, not_running, no_image,
    unreachable, host_key, auth, permission, read_only, not_configured, broken.
    """

    code = "environment"

    def __init__(self, message: str, cause: str = "broken") -> None:
        super().__init__(message)
        self.cause = cause


class EnvironmentNotConfiguredError(EnvironmentUnusableError):
    """The profile's configuration names no sandbox of the kind that was asked for."""

    code = "environment_not_configured"

    def __init__(self, message: str) -> None:
        super().__init__(message, "not_configured")
