"""Runs: executions of a profile's agent, each with a journal that is written before anyone reads it."""
