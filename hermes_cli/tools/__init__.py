"""The `terminal` and `process` tools: function calling on top of background processes."""

from .approvals import CHOICES, Approvals, Pending, Resolved
from .context import Progress, ToolContext
from .toolbox import Toolbox, open_toolbox
from .verbs import ProcessVerbs

__all__ = [
    "CHOICES",
    "Approvals",
    "Pending",
    "ProcessVerbs",
    "Progress",
    "Resolved",
    "ToolContext",
    "Toolbox",
    "open_toolbox",
]
