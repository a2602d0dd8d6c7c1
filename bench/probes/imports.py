"""Time imports, each in a fresh interpreter, in turns. Arguments: how often, JSON of name → statement.

Prints name → seconds as JSON. What the interpreter's own start takes is no part of it.
"""

import json
import subprocess
import sys

PROGRAM = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"

count = int(sys.argv[1])
asked: dict[str, str] = json.loads(sys.argv[2])
took: dict[str, list[float]] = {name: [] for name in asked}
for turn in range(count + 1):
    for name, statement in asked.items():
        command = [sys.executable, "-I", "-c", PROGRAM.format(statement)]
        seconds = float(subprocess.check_output(command, text=True))
        if turn:  # the first of each fills the page cache
            took[name].append(seconds)
print(json.dumps(took))
