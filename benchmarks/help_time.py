"""How long `--help` of every command takes. The project promises under a second.

Run it as `python benchmarks/help_time.py` where the project is installed.
"""

import importlib.metadata
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import time

RUNS = 5
LIMIT_SECS = 1.0


def help_secs(command):
    """Seconds of a command's `--help` in a fresh interpreter: on the clock, and of processor."""
    start, cpu_start = time.perf_counter(), _children_cpu_secs()
    subprocess.run([command, "--help"], check=True, capture_output=True)
    return time.perf_counter() - start, _children_cpu_secs() - cpu_start


def _children_cpu_secs():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main():
    """Prints a table; the exit status is 1 when a command's median is over the limit."""
    scripts = pathlib.Path(sys.executable).parent
    names = sorted(entry.name for entry in importlib.metadata.distribution(
        "style-transfer").entry_points if entry.group == "console_scripts")
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, "
          f"load {os.getloadavg()[0]:.1f}, median and worst of {RUNS} runs after one to warm up\n")
    print("| command | median, s | worst, s | median of processor time, s |\n|---|---|---|---|")
    over = []
    for name in names:
        help_secs(scripts / name)
        times, cpu_times = zip(*(help_secs(scripts / name) for _ in range(RUNS)), strict=True)
        print(f"| {name} | {statistics.median(times):.2f} | {max(times):.2f} | "
              f"{statistics.median(cpu_times):.2f} |")
        if statistics.median(times) > LIMIT_SECS:
            over.append(name)
    if over:
        print(f"\nOver {LIMIT_SECS} s: {', '.join(over)}")
    return bool(over)


if __name__ == "__main__":
    sys.exit(main())
