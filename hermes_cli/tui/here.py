"""From a screen or a page to the application that it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from textual.message_pump import MessagePump

if TYPE_CHECKING:
    from .app import HermesApp


def hermes(node: MessagePump) -> HermesApp:
    """The application of `node`."""
    app: Any = node.app
    return cast("HermesApp", app)
