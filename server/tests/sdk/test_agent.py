"""What the unmodified agent does with a task that waits for it."""

from pathlib import Path

import pytest

from trainshed.testing.live import AGENT, LiveServer

pytestmark = pytest.mark.sdk

SCRIPT = Path(__file__).parent / "scripts" / "queued.py"


def test_an_agent_takes_a_clone_and_completes_it(server: LiveServer, tmp_path: Path) -> None:
    task = server.run(SCRIPT, "enqueue", home=tmp_path / "client")
    with server.agent("default", home=tmp_path / "agent"):
        assert server.run(SCRIPT, "wait", task, home=tmp_path / "client") == {
            "status": "completed",
            "value": 42,
            "printed": True,
            "worker": [AGENT, AGENT],
            "waiting": 0,
        }
