"""The Hermes container on a host with Docker: up, down, upgrade. Imports the Docker SDK only when called."""

from .errors import HostError
from .settings import Request, Settings

__all__ = ["HostError", "Request", "Settings"]
