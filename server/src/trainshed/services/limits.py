"""How much at once and for how long: what an operator may decide for all callers."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Times are in seconds.

    page_rows: of a listing without paging arguments, and of a page that does not say its size. scroll: how long a scroll
    position is kept. compared_tasks: whose scalars one call may ask for. last_metrics: kept on a task; beyond it a table
    could not show them, and the document would grow. raw_events: a page of them, or of points. project_depth: levels.
    table_rows: that the web app lets be downloaded. table_batch: rows of it read at once.
    worker, container: after the last report it is gone, when it does not say. task_worker: after the last report that a
    worker is taken to be at its task. worker_chart, container_chart: the shortest interval; they report every 30, so that
    shorter ones would have holes. hidden_queues: system tags of queues that a listing leaves out.
    """

    page_rows: int = 500
    scroll: float = 600.0
    compared_tasks: int = 100
    last_metrics: int = 2000
    raw_events: int = 200_000
    project_depth: int = 10
    table_rows: int = 1000
    table_batch: int = 500
    worker: int = 600
    container: int = 600
    task_worker: float = 600.0
    worker_chart: int = 40
    container_chart: int = 40
    hidden_queues: tuple[str, ...] = ("k8s-glue",)


LIMITS = Limits()
