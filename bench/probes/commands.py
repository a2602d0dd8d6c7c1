"""Time commands in turns. Arguments: how often, and a JSON object of name → argv. Prints name → seconds."""

import json
import subprocess
import sys
import time

count = int(sys.argv[1])
asked: dict[str, list[str]] = json.loads(sys.argv[2])
took: dict[str, list[float]] = {name: [] for name in asked}
for turn in range(count + 1):
    for name, argv in asked.items():
        began = time.perf_counter()
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - began
        if done.returncode:
            sys.exit(f"{name} ended with {done.returncode}: {done.stderr.strip()}")
        if turn:  # the first of each fills the page cache
            took[name].append(seconds)
print(json.dumps(took))
