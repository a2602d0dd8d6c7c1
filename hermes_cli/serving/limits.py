"""Bounds that listeners share, apart from the heavy imports of the server itself."""

BACKLOG = 128
"""Connections the kernel holds until they are accepted (listen(2))."""
