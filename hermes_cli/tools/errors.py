"""What can be wrong with a tool call itself."""

from __future__ import annotations


class ArgumentError(ValueError):
    """Arguments that mean nothing the tool could do. The message names the argument and what it takes."""
