"""Where background processes run: this machine, a container, a host. One interface, `Environment`."""

from .interface import Environment, Kind
from .selection import discard_sandboxes, end_in_sandbox, open_environment

__all__ = ["Environment", "Kind", "discard_sandboxes", "end_in_sandbox", "open_environment"]
