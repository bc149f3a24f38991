"""The web listener: for now one page that says what runs here and how to point a client at it."""

from importlib import resources

from flask import Flask, Response

_CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'self'"


def create_web_app(*, product_version: str) -> Flask:
    """The WSGI application of the web listener."""
    app = Flask("trainshed.web", static_folder=None)
    page = resources.files("trainshed.web").joinpath("index.html").read_text().replace("{version}", product_version)

    # The client prints links to an experiment's page: until there is one, they lead here.
    @app.get("/")
    @app.get("/<path:_>")
    def index(_: str = "") -> Response:
        reply = Response(page, content_type="text/html; charset=utf-8")
        reply.headers["Content-Security-Policy"] = _CSP
        reply.headers["X-Content-Type-Options"] = "nosniff"
        reply.headers["Referrer-Policy"] = "same-origin"
        return reply

    @app.get("/health")
    def health() -> Response:
        return Response('{"status":"ok"}', content_type="application/json")

    return app
