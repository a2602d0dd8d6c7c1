"""The gateway's own program: what `hermes gateway run` becomes by exec, without the command line's modules.

Argument: the profile. Nothing but the gateway uses it, so it checks nothing a command has checked.
"""

from __future__ import annotations

import sys

from .run import run_gateway

if __name__ == "__main__":
    sys.exit(run_gateway(sys.argv[1]))
