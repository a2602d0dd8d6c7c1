"""The supervisor, as launchd and the Task Scheduler run it: `python -I -S supervisor.py SPECIFICATION`.

Works from wherever this directory is, under whatever name, without importing what is above it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType


def main() -> int:
    """Supervise; the exit code for the init is 0 unless it should start this again."""
    package = ModuleType("hermes_service_supervisor")
    package.__path__ = [str(Path(__file__).resolve().parent)]
    sys.modules[package.__name__] = package
    code: int = import_module(f"{package.__name__}.supervisor_run").main(sys.argv[1:])
    return code


if __name__ == "__main__":
    sys.exit(main())
