"""A root home whose gateways end with the test."""

from __future__ import annotations

from tests.integration.gateway.conftest import yard

__all__ = ["yard"]
