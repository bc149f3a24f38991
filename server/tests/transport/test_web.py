"""The page of the web listener."""

import pytest

from trainshed.transport.web import create_web_app


@pytest.mark.parametrize("path", ["/", "/projects/a/tasks/b/output/log"], ids=["root", "a link that the client prints"])
def test_the_page(path: str) -> None:
    reply = create_web_app(product_version="1.2.3").test_client().get(path)
    assert reply.status_code == 200
    assert "Trainshed 1.2.3" in reply.text
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]


def test_health() -> None:
    assert create_web_app(product_version="x").test_client().get("/health").json == {"status": "ok"}
