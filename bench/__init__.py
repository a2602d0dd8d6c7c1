"""Measure Hermes beside its peers, in one run on one machine, and print ratios: `python -m bench`."""
