"""A step called as a task of a Prefect flow: coarse, never retried, its result never stored."""

from collections.abc import Callable
from typing import Any, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE

T = TypeVar("T")


def as_task(name: str, work: Callable[..., T], *args: Any) -> T:
    """Call `work(*args)` as the task `name` of the flow that is running."""
    step = task(
        name=name,
        task_run_name=name,
        retries=0,
        cache_policy=NO_CACHE,
        persist_result=False,
        log_prints=False,
    )(work)
    return step(*args)
