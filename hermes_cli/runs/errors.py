"""What can be wrong with a request about a run, as types with stable codes."""

from __future__ import annotations


class RunError(Exception):
    """Anything that could not be done with a run. `code` is stable; the message says what to do."""

    code = "run_error"


class NoSuchRunError(RunError):
    code = "run_not_found"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no run {run_id!r}; 'hermes run list' shows all")
        self.run_id = run_id


class NoSuchSessionError(RunError):
    code = "session_not_found"

    def __init__(self, session_id: str) -> None:
        super().__init__(f"there is no session {session_id!r}; 'hermes session list' shows all")
        self.session_id = session_id


class SessionBusyError(RunError):
    """The session has an active run, and the policy is to refuse another."""

    code = "session_busy"

    def __init__(self, session_id: str, run_id: str) -> None:
        super().__init__(
            f"session {session_id} is busy with {run_id}: wait for it, cancel it, "
            "or queue behind it (on_conflict: queue)"
        )
        self.session_id = session_id
        self.run_id = run_id


class KeyReusedError(RunError):
    """An idempotency key that was given with another body."""

    code = "idempotency_key_reused"

    def __init__(self, key: str, run_id: str) -> None:
        super().__init__(f"the idempotency key {key!r} was used for another request, which is {run_id}")
        self.key = key
        self.run_id = run_id


class BadCursorError(RunError):
    """A cursor that is not one of this run's. `kind`: malformed, foreign, ahead or expired."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = f"cursor_{kind}"


class AmbiguousIdError(RunError):
    """An id that was cut so short that several begin with it."""

    code = "ambiguous"

    def __init__(self, given: str, matches: list[str]) -> None:
        super().__init__(f"{given!r} begins several: {', '.join(matches)} ...; give more of it")
        self.matches = matches


class QueueFullError(RunError):
    """As many runs wait as may wait."""

    code = "queue_full"


class DrainingError(RunError):
    """The gateway is shutting down."""

    code = "draining"


class RunEndedError(RunError):
    """An event for a run that has its terminal one."""

    code = "run_ended"


class StoreError(RunError):
    """The store itself: a full disk, a damaged file, a version from the future."""

    code = "store_unusable"


class JournalConflictError(RunError):
    """What was to be written contradicts what is there: it would break a rule of the journal."""

    code = "journal_conflict"


class LeaseHeldError(StoreError):
    """Another gateway lives that has these runs in its hands."""

    code = "lease_held"

    def __init__(self, holder: str) -> None:
        pid = holder.partition("-")[0]
        super().__init__(f"the runs are another gateway's, pid {pid}, which lives; stop it first")
        self.holder = holder


class LeaseLostError(StoreError):
    """Another gateway has taken the runs over: nothing more is written by this one."""

    code = "lease_lost"


class BadRequestError(RunError):
    """A request that no run can be made of."""

    code = "bad_request"


class UnsupportedError(RunError):
    """A request that names what the profile's agent has no use for."""

    code = "unsupported"
