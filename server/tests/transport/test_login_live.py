"""A new server that others reach, over the wire: closed until claimed, then logged in to, on every listener."""

import json
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from trainshed.testing.live import LiveServer, wait_until

PASSWORD = "correct horse"


def send(url: str, headers: dict[str, str], **fields: Any) -> tuple[int, str]:
    """The status, and the cookie that is set."""
    own = {"X-Requested-With": "tests", **headers}
    request = urllib.request.Request(url, json.dumps(fields).encode() if fields else None, own)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, (reply.headers["Set-Cookie"] or "").partition(";")[0]
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, ""


def test_a_new_server_is_claimed(tmp_path: Path) -> None:
    server = LiveServer(tmp_path / "data", "--host=0.0.0.0")
    server.start()
    try:
        api, files, web = (server.url(name) for name in ("api", "files", "web"))
        assert send(f"{api}/accounts.login_by_name", {}, name="admin")[0] == 403
        assert send(f"{api}/accounts.login", {}, username="admin", password="admin")[0] == 401
        offered = server.data / "secrets" / "claim"
        token = offered.read_text().strip()
        assert (offered.stat().st_mode & 0o777, token in server.log()) == (0o600, False)
        wait_until(lambda: str(offered) in server.log())
        status, cookie = send(f"{api}/accounts.redeem", {}, token=token, username="jane", password=PASSWORD)
        assert status == 200
        for address in (f"{api}/users.get_current_user", f"{web}/api/users.get_current_user"):
            assert send(address, {"Cookie": cookie})[0] == 200
        assert send(f"{files}/nothing", {"Cookie": cookie})[0] == 404
        assert send(f"{files}/nothing", {})[0] == 401
        assert send(f"{api}/accounts.redeem", {}, token=token, password=PASSWORD)[0] == 401
        assert server.call("users.get_current_user")["user"]["name"] == "jane"  # by the first access key, as before
        server.stop()
        server.start()
        assert send(f"{api}/users.get_current_user", {"Cookie": cookie})[0] == 200
        assert send(f"{api}/accounts.login", {}, username="jane", password=PASSWORD)[0] == 200
        assert PASSWORD not in server.log()
    finally:
        server.stop(signal.SIGKILL)
