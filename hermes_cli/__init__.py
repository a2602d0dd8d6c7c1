"""Hermes keeps agent gateways alive: one container, many profiles, one supervised gateway each."""

__version__ = "0.1.0"
