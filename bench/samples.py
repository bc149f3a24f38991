"""Tasks and projects as trainings leave them, for the benches that need many."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import md5

from trainshed.domain.dates import to_text
from trainshed.domain.identity import DEFAULT_COMPANY
from trainshed.ports.documents import Document

PROJECTS, LARGE = 1000, 5  # nine tasks of ten are in the large projects
START = datetime(2026, 1, 1, tzinfo=UTC)


def project_id(number: int) -> str:
    return f"{number:032x}"


def projects() -> Iterator[Document]:
    """PROJECTS of them, at the top."""
    for number in range(PROJECTS):
        moment = to_text(START + timedelta(seconds=number))
        yield {
            "id": project_id(number),
            "name": f"project {number}",
            "basename": f"project {number}",
            "path": [],
            "company": DEFAULT_COMPANY,
            "user": "user",
            "created": moment,
            "last_update": moment,
            "description": "",
            "tags": [],
            "system_tags": [],
        }


def tasks(count: int) -> Iterator[Document]:
    """Documents of 3 to 4 KB, as a small training leaves them."""
    chance = random.Random(1)
    for number in range(count):
        moment = to_text(START + timedelta(seconds=chance.randrange(10**7)))
        project = number % LARGE if number % 10 else LARGE + number // 10 % (PROJECTS - LARGE)
        yield {
            "id": f"{chance.getrandbits(128):032x}",
            "name": f"run {number}",
            "company": DEFAULT_COMPANY,
            "user": "user",
            "project": project_id(project),
            "type": "training",
            "status": chance.choice(["created", "in_progress", "completed", "failed", "published"]),
            "tags": chance.sample(["baseline", "large", "small", "ablation", "nightly"], 2),
            "system_tags": [],
            "created": moment,
            "last_update": moment,
            "last_change": moment,
            "active_duration": chance.randrange(10_000),
            "hyperparams": {"Args": {name: argument(name, chance) for name in (f"a{n}" for n in range(20))}},
            "last_metrics": {
                key(metric): {key("train"): last_value(metric, chance)} for metric in ("loss", "accuracy", "rate")
            },
            "last_iteration": 0,
            "script": {"repository": "https://example.com/repository.git", "diff": "+line\n" * 160},
            "execution": {"artifacts": []},
            "models": {"input": [], "output": []},
        }


def key(name: str) -> str:
    """Of a metric or variant in last_metrics."""
    return md5(name.encode(), usedforsecurity=False).hexdigest()


def argument(name: str, chance: random.Random) -> Document:
    return {"section": "Args", "name": name, "value": str(chance.randrange(10)), "type": "int"}


def last_value(metric: str, chance: random.Random) -> Document:
    value = chance.random()
    return {"metric": metric, "variant": "train", "value": value, "min_value": value / 2, "max_value": value * 2}
