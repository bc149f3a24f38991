"""The server fetches nothing that a caller names, and reads no file of the machine for one."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trainshed.bootstrap import build_services
from trainshed.domain.identity import Role
from trainshed.services.file_deletion import DELAY
from trainshed.testing.api import TOKEN_SECRET, ApiClient, Json, memory_engines, serve
from trainshed.testing.calls import Calls
from trainshed.transport.table import ENDPOINTS

_seen: list[tuple[str, str]] = []
_looking = False
_EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen", "os.system", "urllib.Request")


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _looking and (event in _EVENTS or (event == "open" and "a-canary" in str(arguments[0]))):
        _seen.append((event, str(arguments)))


sys.addaudithook(_hook)  # for good: whatever the interpreter does in the name of anybody comes by here


@contextmanager
def nothing_is_fetched() -> Iterator[None]:
    global _looking
    _seen.clear()
    _looking = True
    try:
        yield
    finally:
        _looking = False
    assert _seen == []


class World:
    """Something of everything, and links to a listener and a file that nobody may touch."""

    def __init__(self, folder: Path, canary: socket.socket) -> None:
        self.engines = memory_engines(folder)
        self.api = serve(self.engines, role=Role.SYSTEM)
        self.calls = Calls(self.api)
        self.canary = canary
        secret = folder / "a-canary"
        secret.write_text("what nobody may read")
        here = f"127.0.0.1:{canary.getsockname()[1]}"
        self.links = [
            f"http://{here}/latest/meta-data/",
            f"http://user@{here}#@files:8081/x",
            f"gopher://{here}/_GET",
            f"s3://{here}/bucket/x",
            f"//{here}/share",
            f"\\\\{here}\\share",
            "http://169.254.169.254/latest/meta-data/iam/",
            "http://[::ffff:169.254.169.254]/",
            "http://metadata.google.internal/computeMetadata/v1/",
            secret.as_uri(),
            str(secret),
            f"file://localhost{secret}",
            f"http://files/../../../../{secret}",
        ]

    def assert_left_alone(self) -> None:
        with pytest.raises(BlockingIOError):
            self.canary.accept()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        made = World(tmp_path_factory.mktemp("world"), canary)
        yield made
        made.engines.close()


def hostile(arguments: Any, link: str) -> Any:
    """The same, with the link wherever there was a link or any other text that is no name of a thing."""
    if isinstance(arguments, dict):
        return {key: hostile(value, link) for key, value in arguments.items()}
    if isinstance(arguments, list):
        return [hostile(value, link) for value in arguments]
    is_id = isinstance(arguments, str) and len(arguments) == 32 and arguments.isalnum()
    return link if isinstance(arguments, str) and not is_id else arguments


def own_caller(world: World, name: str) -> ApiClient:
    """Some calls end the token that they come with."""
    token = world.api.call("auth.login")["token"]
    return world.api.authorized(f"Bearer {token}") if "logout" in name else world.api


@pytest.mark.parametrize("name", ENDPOINTS)
def test_no_call_makes_the_server_fetch(world: World, name: str) -> None:
    """A link in each field alone, and in all that are text at once."""
    fields = [field.encode_name for field in msgspec.structs.fields(ENDPOINTS[name].request)]
    arguments = world.calls.arguments(name)
    caller = own_caller(world, name)
    bodies: list[Json] = [hostile(arguments, link) for link in world.links[::3]]
    bodies += [{**arguments, field: world.links[0]} for field in fields if field != "user"]
    with nothing_is_fetched():
        for body in bodies:
            assert b"nobody may read" not in msgspec.json.encode(
                caller.send(f"/{name}", msgspec.json.encode(body)).data
            )
    world.assert_left_alone()


def test_events_with_links(world: World) -> None:
    task = world.calls.new_task()
    kinds: list[Json] = [
        {"type": "training_debug_image", "metric": "m", "variant": "v", "key": "k"},
        {"type": "plot", "metric": "m", "variant": "p"},
        {"type": "log", "worker": "w"},
    ]
    with nothing_is_fetched():
        for number, link in enumerate(world.links):
            shown = {"url": link, "msg": link, "plot_str": f'{{"layout": {{"images": [{{"source": "{number}"}}]}}}}'}
            world.api.add_events([{**kind, **shown, "task": task, "iter": number} for kind in kinds])
        world.api.call("events.debug_images", metrics=[{"task": task}], iters=50)
        world.api.call("events.get_debug_image_sample", task=task, metric="m", variant="v")
        world.api.call("events.get_task_plots", task=task)
    world.assert_left_alone()


def test_the_deletion_of_files_goes_nowhere(world: World) -> None:
    """Links of an artifact, a model and debug images; deleted with their task, and once more, as often as it is tried."""
    services = build_services(world.engines, token_secret=TOKEN_SECRET, files_addresses=["http://files:8081"])
    for link in world.links:
        task = world.calls.new_task(execution={"artifacts": [{"key": "a", "type": "x", "uri": link, "mode": "output"}]})
        model = world.calls.new_model(task=task, uri=link)
        world.api.call("models.edit", model=model, uri=link)
        world.api.add_events(
            [{"type": "training_debug_image", "task": task, "metric": "m", "variant": "v", "iter": 1, "url": link}]
        )
        with nothing_is_fetched():
            world.api.call("models.delete", model=model, force=True, delete_external_artifacts=True)
            told = world.api.call("tasks.delete", task=task, force=True, delete_external_artifacts=True)
        assert told["deleted"]
    with nothing_is_fetched():
        for _ in range(8):
            world.api.move_clock(DELAY + 24 * 3600)
            while services.file_deletion.step():
                pass
    world.assert_left_alone()
    assert (Path(world.links[-3])).read_text() == "what nobody may read"
