"""Estimators against their peers: the same data, each in a process of its own, time and memory.

A row is one task at one size. `ours` and every peer run three times in turn, and the best counts
for each; memory is what the process grew by beyond the data. A peer is left out where it needs
minutes, or gigabytes. R is timed where it is installed.
"""

import json
import subprocess
import sys
from dataclasses import dataclass

from tests.bench.peers import OURS, PEERS, R_CALLS, R_PACKAGES, r_is_installed

SIZES = (10_000, 100_000, 1_000_000)
ROUNDS, R_MOST = 3, 1_000_000


@dataclass(frozen=True)
class Measure:
    """Seconds of one call, and the mebibytes that the process grew by."""

    seconds: float
    mib: float


def bench_estimators(sizes=SIZES):
    """Yield a line a task, size and peer, told at once: step, ours, name of the peer, theirs."""
    for task in OURS:
        for n in (n for n in sizes if n <= OURS[task].most):
            found = _in_turn(task, n, ["ours", *_peers(task, n)])
            for name in [name for name in found if name != "ours"] or ["ours"]:
                line = f"{task}, {n:,}", found["ours"], name, found[name]
                print(_row(*line), file=sys.stderr, flush=True)
                yield line


def _peers(task, n):
    names = [name for name, peer in PEERS.get(task, {}).items() if n <= peer.most]
    is_asked = task in R_CALLS and n <= R_MOST
    is_asked = is_asked and r_is_installed(R_PACKAGES.get(task, "survival"))
    return [*names, "R"] if is_asked else names


def _in_turn(task, n, names):
    """The best of a few rounds of each maker, one after the other in every round."""
    rounds = [{name: one(task, name, n) for name in names} for _ in range(ROUNDS if n < 1e6 else 1)]
    return {name: min((r[name] for r in rounds), key=lambda m: m.seconds) for name in names}


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
    return "\n".join([head, *(_row(*line) for line in lines)])


def _row(step, ours, name, peer):
    return (
        f"| {step} | {ours.seconds:.3f} | {ours.mib:.0f} | {name} | {peer.seconds:.3f} "
        f"| {peer.mib:.0f} | {ours.seconds / peer.seconds:.3f} |"
    )


if __name__ == "__main__":
    print(as_table(bench_estimators()))
