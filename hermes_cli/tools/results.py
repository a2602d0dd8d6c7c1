"""What a tool answers: plain data for JSON, and every failure as a status with a sentence."""

from __future__ import annotations

import errno
import logging
from typing import Any

from hermes_cli.processes.errors import AmbiguousIdError, NoSuchProcessError, ProcessError
from hermes_cli.processes.types import to_json

from .errors import ArgumentError

Result = dict[str, Any]
_LOG = logging.getLogger(__name__)
_EXPECTED_OS_ERRORS = {
    errno.ENOSPC: "the disk is full; free some space and try again",
    errno.EDQUOT: "the disk quota is used up; free some space and try again",
    errno.EMFILE: "too many files are open here; try again when some processes have ended",
    errno.ENFILE: "too many files are open on this machine; try again later",
    errno.EAGAIN: "no more processes can be started here now; end some and try again",
    errno.ENOMEM: "there is not enough memory; end some processes and try again",
}


def plain(answer: object, **more: object) -> Result:
    """An answer of the process layer as plain data, with what is not empty of `more`."""
    result: Result = to_json(answer)
    if not result.get("warnings", True):
        del result["warnings"]
    return result | {key: value for key, value in more.items() if value not in (None, [], ())}


def failure(error: Exception, *, session_id: str | None = None, tool: str = "") -> Result:
    """`error` as a result. Anything unforeseen is logged with its traceback and told without one."""
    about: Result = {"session_id": session_id} if session_id else {}
    if isinstance(error, NoSuchProcessError):
        return about | {
            "status": "not_found",
            "code": error.code,
            "message": f"there is no process {error.given!r} of yours; process(action='list') shows all."
            " Finished ones are kept for 30 minutes",
        }
    if isinstance(error, AmbiguousIdError):
        return about | {
            "status": "error",
            "code": error.code,
            "message": str(error),
            "matches": error.matches[:20],
        }
    if isinstance(error, ProcessError):
        return about | {"status": "error", "code": error.code, "message": str(error)}
    if isinstance(error, ArgumentError):
        return about | {"status": "error", "code": "invalid_arguments", "message": str(error)}
    if isinstance(error, OSError):
        _LOG.warning("the tool %s failed", tool, exc_info=error)
        told = _EXPECTED_OS_ERRORS.get(error.errno or 0, f"the system refused: {error.strerror or error}")
        return about | {"status": "error", "code": "system", "message": told}
    _LOG.error("the tool %s failed unexpectedly", tool, exc_info=error)
    return about | {
        "status": "error",
        "code": "internal",
        "message": f"the tool failed ({type(error).__name__}); its log says more. Try another way",
    }
