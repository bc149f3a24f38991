"""A server behind each proxy in each layout of docs/proxies."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainshed.testing.proxies import PROXIES, Site, behind, program

DOCS = Path(__file__).parents[3] / "docs" / "proxies"


# One process has all tests of a site: each would start one of its own.
_SITES = [
    pytest.param((layout.name, proxy), id=f"{layout.name}-{proxy}", marks=pytest.mark.xdist_group(f"{layout}-{proxy}"))
    for layout in sorted(DOCS.iterdir())
    for proxy, file in PROXIES.items()
    if (layout / file).exists()
]


@pytest.fixture(scope="session", params=_SITES)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    layout, proxy = request.param
    if program(proxy) is None:
        assert "TRAINSHED_PROXIES" not in os.environ, f"{proxy} is not installed"
        pytest.skip(f"{proxy} is not installed; `./bootstrap test` installs it")
    with behind(layout, proxy, docs=DOCS, folder=tmp_path_factory.mktemp(f"{layout}-{proxy}")) as found:
        yield found
    assert "Traceback" not in found.server.log()
