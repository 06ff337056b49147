"""Seconds for many Circe expressions on a small data set: `python -m tests.bench.circe [NUMBER]`."""

import sys
import time

from tasks.cohort.circe import build_circe, read_expression
from tasks.cohort.circe.support import support
from tasks.core.duck import duck
from tests.sql.cohort.circe.world import cases, expression_of, fill, make_tables


def main(number):
    """Read and build the test cases over and over, until so many expressions are built."""
    texts = [expression_of(case) for case in cases().values()]
    repeated = [texts[i % len(texts)] for i in range(number)]
    started = time.perf_counter()
    for text in repeated:
        read_expression(text)
    read = time.perf_counter() - started
    with duck() as con:
        make_tables(con, {kind.table for kind in support().events.values() if kind.table})
        fill(con, cases()["nested_groups_any_of_all"]["tables"])
        started, worked = time.perf_counter(), time.process_time()
        for place, text in enumerate(repeated):
            build_circe(con, f"cohort_{place}", text)
        built, worked = time.perf_counter() - started, time.process_time() - worked
    print(f"{number:,} expressions: read {read:.1f} s; read and built {built:.1f} s")
    print(f"({worked:.1f} s of them at work on this machine's processors)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
