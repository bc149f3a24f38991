"""The way to a login elsewhere and back, on the web listener: /login/oidc."""

import logging
from urllib.parse import urlsplit

from flask import Blueprint, Response, request

from trainshed.domain.errors import ApiError, ProviderError
from trainshed.services.accounts import Accounts
from trainshed.services.accounts.logins import OIDC_PATH
from trainshed.services.accounts.sso import SECONDS, SingleSignOn
from trainshed.transport.auth import Guard
from trainshed.transport.front import told_urls

log = logging.getLogger(__name__)

_LUGGAGE = "trainshed_login"
_BACK = f"{OIDC_PATH}/callback"


def pages(sso: SingleSignOn, accounts: Accounts, guard: Guard) -> Blueprint:
    """What a browser visits on its way there and back."""
    blueprint = Blueprint("sso", __name__)

    @blueprint.get(OIDC_PATH)
    def begin() -> Response:
        web = told_urls(request.environ).web
        try:
            departure = sso.begin(redirect=f"{web}{_BACK}", then=_path(request.args.get("then", "/")))
        except ProviderError as error:
            return _failed(str(error), 503)
        response = Response(status=302, headers={"Location": departure.address, "Cache-Control": "no-store"})
        response.set_cookie(
            _LUGGAGE,
            departure.luggage,
            max_age=SECONDS,
            httponly=True,
            samesite="Lax",
            secure=request.scheme == "https",
        )
        return response

    @blueprint.get(_BACK)
    def finish() -> Response:
        luggage, state, code = (
            request.cookies.get(_LUGGAGE, ""),
            request.args.get("state", ""),
            request.args.get("code", ""),
        )
        if "error" in request.args:
            return _failed(f"the provider says {request.args['error'][:100]!r}", 403)
        try:
            identity, then = sso.finish(luggage=luggage, state=state, code=code)
        except ApiError as error:
            return _failed(error.message, error.fault.code)
        except ProviderError as error:
            return _failed(str(error), 503)
        # What the browser carried proves that it began the login here; that it comes from another site is how it is done.
        guard.session(request).begin(accounts.issue_token(identity), proved=True)
        response = Response(
            status=302, headers={"Location": told_urls(request.environ).web + then, "Cache-Control": "no-store"}
        )
        response.delete_cookie(_LUGGAGE, httponly=True, samesite="Lax", secure=request.scheme == "https")
        return response

    return blueprint


def _path(wanted: str) -> str:
    """A path on this server: anything else would send people who trust our link elsewhere."""
    parts = urlsplit(wanted)
    foreign = parts.scheme or parts.netloc or not wanted.startswith("/") or wanted.startswith(("//", "/\\"))
    return "/" if foreign or not wanted.isprintable() or "\\" in wanted else wanted


def _failed(why: str, code: int) -> Response:
    log.warning("login elsewhere failed: %r", why)
    response = Response(f"The login failed: {why}\n", code, content_type="text/plain; charset=utf-8")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response
