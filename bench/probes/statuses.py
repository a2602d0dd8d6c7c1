"""Time the status of many services, asked for in one process.

Arguments: a directory to import from, the library's package there, the kind of manager, how many services,
how often. Makes the services first. Prints seconds as JSON; the first time fills caches and is left out.
"""

import json
import sys
import time
from importlib import import_module

place, package, kind, count, samples = sys.argv[1:]
sys.path.insert(0, place)
library = import_module(package)
manager = library.get_service_manager(kind)
names = [f"gateway-bench{number:02}" for number in range(int(count))]
for name in names:
    if kind == "s6":
        manager.register_profile_gateway(name.removeprefix("gateway-"))
    else:
        manager.install(library.ServiceSpec(name, ("/usr/bin/sleep", "infinity"), notify=False))
        manager.start(name)
took = []
for _ in range(int(samples) + 1):
    began = time.perf_counter()
    found = manager.status_all(names)
    took.append(time.perf_counter() - began)
    wrong = [
        status for status in found.values() if status.in_words() != ("down" if kind == "s6" else "ready")
    ]
    if len(found) != len(names) or wrong:
        sys.exit(f"not the status of {count} services: {wrong[:1]}")
print(json.dumps(took[1:]))
