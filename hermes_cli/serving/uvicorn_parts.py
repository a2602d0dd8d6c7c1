"""uvicorn's server without its command line.

`import uvicorn` brings click, multiprocessing and the reloading supervisors, which nothing here calls:
2.1 MB of every gateway and 25 ms of every start (docs/performance.md). Its modules are imported below a
bare package instead. Where a later uvicorn has none of these modules, this import fails, not a request.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec


def _without_command_line() -> None:
    if "uvicorn" in sys.modules:
        return
    spec = find_spec("uvicorn")
    if spec is not None and spec.submodule_search_locations is not None:
        # Made from its spec but not executed: the package exists, its __init__ has not run.
        sys.modules["uvicorn"] = module_from_spec(spec)


_without_command_line()

from uvicorn.config import Config  # noqa: E402
from uvicorn.protocols.http.h11_impl import H11Protocol  # noqa: E402
from uvicorn.server import Server, ServerState  # noqa: E402

# uvicorn.lifespan.off asks the package itself for it.
vars(sys.modules["uvicorn"]).setdefault("Config", Config)

__all__ = ["Config", "H11Protocol", "Server", "ServerState"]
