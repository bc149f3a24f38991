"""Made-up calls of every endpoint: each is answered in time and as described, whatever was sent."""

from random import Random
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from trainshed.testing.api import CallFailed
from trainshed.testing.fuzzed import LINES, FuzzedServer, Known, encoded, mixed
from trainshed.testing.soak import times
from trainshed.transport.table import ENDPOINTS

pytestmark = pytest.mark.fuzz
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
# Neither found counterexamples (the world has changed since) nor time limits of Hypothesis's own make sense here.
_GIVEN = settings(
    max_examples=times(2, soak=60),
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
_RANDOM = st.randoms(use_true_random=False)


def bodies(server: FuzzedServer, name: str, mode: GenerationMode) -> st.SearchStrategy[Any]:
    """What may be sent, fitting its schema or not."""
    made = server.operations[LINES.get(name, name)].as_strategy(generation_mode=mode).map(lambda case: case.body)
    return made.map(lambda body: {} if body is schemathesis.core.NOT_SET else body)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name.lower())
@pytest.mark.parametrize("name", ENDPOINTS)
def test_a_call(server: FuzzedServer, name: str, mode: GenerationMode) -> None:
    @_GIVEN
    @given(bodies(server, name, mode), _RANDOM)
    def call(made_up: Any, random: Random) -> None:
        server.send(name, _body(server, name, made_up, random))

    call()


def _body(server: FuzzedServer, name: str, made_up: Any, random: Random) -> Any:
    if name not in LINES:
        return mixed(made_up, server.calls.arguments(name), random)
    valid = server.calls.arguments(LINES[name])
    return b"\n".join(encoded(line) for line in (mixed(made_up, valid, random), valid))


@settings(_GIVEN, max_examples=times(15, soak=1_000))
@given(data=st.data(), random=_RANDOM)
def _walk(server: FuzzedServer, data: st.DataObject, random: Random) -> None:
    known = Known()
    names = [name for name in ENDPOINTS if name not in LINES]
    for name in data.draw(st.lists(st.sampled_from(names), min_size=5, max_size=15)):
        service = name.partition(".")[0]
        body = mixed(data.draw(bodies(server, name, GenerationMode.POSITIVE)), _arguments(server, name), random)
        known.learn(service, body)
        reply = server.send(name, known.placed(service, body, random))
        if isinstance(reply.data, dict):
            known.learn(service, reply.data)


def _arguments(server: FuzzedServer, name: str) -> Any:
    """Those of a call that works; none when the walk has deleted what they are of."""
    try:
        return server.calls.arguments(name)
    except CallFailed:
        return {}


def test_a_walk(server: FuzzedServer) -> None:
    """Calls one after the other, each with ids that earlier ones made, changed or deleted."""
    _walk(server)


def test_nobody_calls_without_a_login_what_needs_one(server: FuzzedServer) -> None:
    for name, described in server.document["paths"].items():
        security = described["post"]["security"]
        for header, subcode in (("", 20), ("Basic ?", 21), ("Basic YTpi", 22), ("Bearer x.y.z", 30), ("Digest x", 10)):
            reply = server.api.authorized(header).send(f"/v2.31{name}", b"{")
            needed = bool(security) and {} not in security
            assert reply.pair == ((401, subcode) if needed else (400, 0)), (name, header)


def test_the_description_is_valid(server: FuzzedServer) -> None:
    schemathesis.openapi.from_dict(server.document).validate()
