"""Time an empty server's way to listening. Arguments: how often, its source. Prints seconds as JSON."""

import json
import subprocess
import sys
import time

took = []
for turn in range(int(sys.argv[1]) + 1):
    began = time.time()
    with subprocess.Popen([sys.executable, "-c", sys.argv[2]], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        listens = float(server.stdout.readline().split()[0])
        server.terminate()
    if turn:
        took.append(listens - began)
print(json.dumps(took))
