"""The keeper: one small program per background process, which owns its pipes, its output and its end.

Standard library only, and of that only what is small: a keeper may have 4 MB of memory of its own. So the
modules here do without contextlib and pathlib, use the `_signal` and `_socket` that `signal` and `socket`
wrap, and write their JSON by hand.
"""
