"""Runs commands and tells what each took. One JSON document a line: a list of commands in, one result out.

Why not from Node: it does not tell the resources of a child. wait4(2) does, for the child and all that it waited
for, and counts them in the kernel: nothing is polled, and no peak is missed.
"""

import json
import os
import sys
import time

KILOBYTE = 1 if sys.platform == "darwin" else 1024

for line in sys.stdin:
    total = {"wallMs": 0.0, "cpuMs": 0.0, "peakBytes": 0, "failed": None}
    for command in json.loads(line):
        argv, log = command["argv"], command["log"]
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        started = time.perf_counter()
        pid = os.posix_spawn(argv[0], argv, command["env"], file_actions=files)
        _, status, usage = os.wait4(pid, 0)
        total["wallMs"] += (time.perf_counter() - started) * 1000
        total["cpuMs"] += (usage.ru_utime + usage.ru_stime) * 1000
        total["peakBytes"] = max(total["peakBytes"], usage.ru_maxrss * KILOBYTE)
        if status != 0:
            total["failed"] = f"{' '.join(argv)} ended with {os.waitstatus_to_exitcode(status)}"
            break
    print(json.dumps(total), flush=True)
