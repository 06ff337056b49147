"""A step called as a task of a Prefect flow: coarse, never retried, its result never stored."""

from collections.abc import Callable
from typing import Any, TypeVar

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.crashed import watched
from flows.orders.steps import Caller
from flows.orders.study import COMPARISON

T = TypeVar("T")
PARTS = (COMPARISON,)
"""Steps that are flows of their own in the Prefect UI."""


def as_task(name: str, work: Callable[..., T], *args: Any) -> T:
    """Call `work(*args)` as the task `name` of the flow that is running."""
    return _task(name, name, work)(*args)


def as_task_or_flow(name: str, work: Callable[..., T], *args: Any) -> T:
    """Call `work(home, …)` as a sub-flow where the step is a part of a study, else as a task."""
    if name not in PARTS:
        return as_task(name, work, *args)
    slug = name.replace(" ", "-")

    def run() -> T:
        with watched(args[0]):
            return work(*args)

    part: T = flow(name=slug, flow_run_name=slug, persist_result=False)(run)()
    return part


def as_task_of(subject: str) -> Caller:
    """Return a caller whose task runs say what they belong to: a delivery, a study."""

    def call(name: str, work: Callable[..., T], *args: Any) -> T:
        return _task(name, f"{subject}: {name}", work)(*args)

    return call


def _task(name: str, run_name: str, work: Callable[..., T]) -> Callable[..., T]:
    return task(
        name=name,
        task_run_name=run_name.replace("{", "(").replace("}", ")"),
        retries=0,
        cache_policy=NO_CACHE,
        persist_result=False,
        log_prints=False,
    )(work)
