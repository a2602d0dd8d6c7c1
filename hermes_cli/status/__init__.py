"""One report of what every service is meant to do and does: the same for all faces."""

from .collecting import FLAVOUR_FILE, collect
from .exits import exit_in_words
from .model import GatewayList, GatewayReport, ServiceReport, StatusReport

__all__ = [
    "FLAVOUR_FILE",
    "GatewayList",
    "GatewayReport",
    "ServiceReport",
    "StatusReport",
    "collect",
    "exit_in_words",
]
