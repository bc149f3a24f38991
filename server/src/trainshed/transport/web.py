"""The web listener: for now one page that says what runs here and how to point a client at it."""

from importlib import resources

import msgspec
from flask import Flask, Response, request
from markupsafe import escape

from trainshed.transport.front import told_urls

# Nothing from elsewhere, no script, no form; and nobody else's page may show this one within its own.
_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
_HTTPS_ONLY = 365 * 24 * 3600  # seconds that a browser remembers it; one that was warned of the certificate never does
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def create_web_app(*, product_version: str) -> Flask:
    """The WSGI application of the web listener."""
    app = Flask("trainshed.web", static_folder=None)
    page = resources.files("trainshed.web").joinpath("index.html").read_text().replace("{version}", product_version)

    # The client prints links to an experiment's page: until there is one, they lead here.
    @app.get("/")
    @app.get("/<path:_>")
    def index(_: str = "") -> Response:
        shown = page
        for name, url in told_urls(request.environ)._asdict().items():
            shown = shown.replace(f"{{{name}}}", escape(url))
        return Response(shown, content_type="text/html; charset=utf-8")

    @app.get("/configuration.json")
    def configuration() -> Response:
        """The addresses, for the pages."""
        urls = told_urls(request.environ)
        told = {"webBaseUrl": urls.web, "apiBaseUrl": urls.api, "fileBaseUrl": urls.files}
        return Response(msgspec.json.encode(told), content_type="application/json")

    @app.get("/health")
    def health() -> Response:
        return Response('{"status":"ok"}', content_type="application/json")

    @app.after_request
    def safe(response: Response) -> Response:
        response.headers.extend(_HEADERS)
        if request.scheme == "https":
            response.headers["Strict-Transport-Security"] = f"max-age={_HTTPS_ONLY}"
        response.headers["Cache-Control"] = "no-store"  # what it says depends on who asks by which name
        return response

    return app
