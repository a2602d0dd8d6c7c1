"""What every test may rely on."""

from __future__ import annotations

import signal

# A runner started in the background of a shell ignores ^C, and so would every program that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
