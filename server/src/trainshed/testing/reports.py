"""Events as an experiment reports them."""

from typing import Any

from trainshed.testing.api import Json


def scalar(task: str, value: float, iteration: int = 0, **rest: Any) -> Json:
    """A point of a curve."""
    return {
        "type": "training_stats_scalar",
        "task": task,
        "metric": "loss",
        "variant": "train",
        "iter": iteration,
        "value": value,
        "timestamp": 1000 + iteration,
        **rest,
    }


def image(task: str, iteration: int, url: str, variant: str = "v", metric: str = "m") -> Json:
    """A debug sample."""
    return {
        "type": "training_debug_image",
        "task": task,
        "metric": metric,
        "variant": variant,
        "iter": iteration,
        "url": url,
        "timestamp": iteration,
    }


def plot(task: str, iteration: int = 0, text: str = "{}", variant: str = "v", metric: str = "p") -> Json:
    """A plot."""
    return {
        "type": "plot",
        "task": task,
        "metric": metric,
        "variant": variant,
        "iter": iteration,
        "plot_str": text,
        "timestamp": iteration,
    }


def line(task: str, timestamp: int, msg: str) -> Json:
    """A line of the console."""
    return {"type": "log", "task": task, "timestamp": timestamp, "msg": msg}
