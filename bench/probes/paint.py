"""Time programs on a terminal from exec to the first words. Arguments: how often, and a JSON object of
name → [words, argv]. Prints name → seconds. ^C ends a program."""

import contextlib
import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time

PATIENCE = 20.0


def first_words(words: bytes, argv: list[str]) -> float:
    """Seconds until `words` are on the terminal; the program has ended on return."""
    began = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(argv[0], argv, {**os.environ, "TERM": "xterm-256color"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    seen = b""
    while words not in seen:
        ready, _, _ = select.select([terminal], [], [], PATIENCE)
        if not ready:
            sys.exit(f"{argv} never said {words!r}: {seen[-500:]!r}")
        seen += os.read(terminal, 65536)
    seconds = time.perf_counter() - began
    os.write(terminal, b"\x03")
    with contextlib.suppress(OSError):  # EIO: it has let go of the terminal
        while os.read(terminal, 65536):
            pass
    os.close(terminal)
    os.waitpid(pid, 0)
    return seconds


count = int(sys.argv[1])
asked: dict[str, tuple[str, list[str]]] = json.loads(sys.argv[2])
took: dict[str, list[float]] = {name: [] for name in asked}
for turn in range(count + 1):
    for name, (words, argv) in asked.items():
        seconds = first_words(words.encode(), argv)
        if turn:  # the first of each fills the page cache
            took[name].append(seconds)
print(json.dumps(took))
