"""How long a piece of work takes, by the wall."""

import time


def timed(work):
    started = time.perf_counter()
    done = work()
    return time.perf_counter() - started, done
