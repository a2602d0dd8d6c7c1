"""Where background processes run: this machine, a container, a host. One interface, `Environment`."""

from .interface import Environment, Kind
from .selection import discard_sandboxes, open_environment

__all__ = ["Environment", "Kind", "discard_sandboxes", "open_environment"]
