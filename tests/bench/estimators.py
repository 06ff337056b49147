"""Estimators against their peers: the same data, each in a process of its own, time and memory.

A row is one task at one size. `ours` and every peer run three times in turn, and the best counts
for each; memory is what the process grew by beyond the data. A peer is left out where it needs
minutes, or gigabytes. R is timed where it is installed.
"""

import json
import subprocess
import sys
from dataclasses import dataclass

from tests.bench.peers import OURS, PEERS, R_CALLS, r_is_installed

SIZES = (10_000, 100_000, 1_000_000)
ROUNDS = 3


@dataclass(frozen=True)
class Measure:
    """Seconds of one call, and the mebibytes that the process grew by."""

    seconds: float
    mib: float


def bench_estimators(sizes=SIZES):
    """Yield a line a task, size and peer: step, ours, name of the peer, theirs."""
    for task in OURS:
        for n in (n for n in sizes if n <= OURS[task].most):
            names = ["ours", *(p for p, peer in PEERS.get(task, {}).items() if n <= peer.most)]
            if r_is_installed() and task in R_CALLS:
                names.append("R")
            found = {name: best(task, name, n) for name in names}
            for name in names[1:] or ["ours"]:
                yield f"{task}, {n:,}", found["ours"], name, found[name]


def best(task, name, n):
    """The best of a few runs of one task by one maker."""
    rounds = ROUNDS if n < 1_000_000 else 1
    tried = [one(task, name, n) for _ in range(rounds)]
    return min(tried, key=lambda m: m.seconds)


def one(task, name, n):
    command = [sys.executable, "-m", "tests.bench.peers", task, name, str(n)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{task} by {name} at {n}: {done.stderr[-2000:]}")
    said = json.loads(done.stdout.splitlines()[-1])
    return Measure(said["seconds"], said["mib"])


def as_table(lines):
    """The lines as Markdown; memory of ours and of the peer beside the seconds."""
    head = "| task | ours s | MiB | peer | s | MiB | ratio |\n|---|---:|---:|---|---:|---:|---:|"
    rows = [
        f"| {step} | {ours.seconds:.3f} | {ours.mib:.0f} | {name} | {peer.seconds:.3f} "
        f"| {peer.mib:.0f} | {ours.seconds / peer.seconds:.2f} |"
        for step, ours, name, peer in lines
    ]
    return "\n".join([head, *rows])


if __name__ == "__main__":
    print(as_table(bench_estimators()))
