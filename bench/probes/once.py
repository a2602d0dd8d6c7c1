"""Time commands once each. Argument: a JSON array of [name, argv]. Prints name → seconds."""

import json
import subprocess
import sys
import time

took = {}
for name, argv in json.loads(sys.argv[1]):
    began = time.perf_counter()
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    took[name] = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{name} ended with {done.returncode}: {done.stderr.strip()}")
print(json.dumps(took))
