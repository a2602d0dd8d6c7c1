"""Typed configuration: a profile's config.yaml and .env."""

from .errors import ConfigError

__all__ = ["ConfigError"]
