"""Ask the rules of an image of what was made from it: a machine here, one anywhere by ssh, a server by its web address.

The rules and their ids are those that the bake asks of the offline tree. Exit code 9 when one does not hold.

    shed check vm                              a machine that `shed launch vm` made, from inside and by its ports
    shed check ssh HOST --key FILE             any machine, from inside; the login needs sudo without a password
    shed check url https://shed.example.com    a server as callers see it, directly or behind a load balancer
"""

import argparse
from pathlib import Path
from urllib.parse import urlsplit

import testinfra  # type: ignore[import-untyped]  # it ships no types

from trainshed_provision import assertions, ssh
from trainshed_provision.assertions import Result, outside
from trainshed_provision.commands import rules
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.spec import VmSpec
from trainshed_provision.targets import vm
from trainshed_provision.targets.vm.engine import Local
from trainshed_provision.targets.vm.folder import Folder, state_root
from trainshed_provision.targets.vm.health import PATHS

HELP = "ask a machine or a server the rules of an image"
LOGIN = ssh.Login(port=22, key=Path.home() / ".ssh" / "id_ed25519", known_hosts=Path())
HINTS = {"ssh": "as in: shed check ssh 10.0.0.5", "url": "as in: shed check url https://shed.example.com"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed check`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("target", choices=["vm", "ssh", "url"], help="what to ask")
    parser.add_argument("place", nargs="?", metavar="HOST or URL", help="of ssh and url")
    parser.add_argument("--name", default=VmSpec().name, help="vm: of the machine (%(default)s)")
    parser.add_argument("--user", default=LOGIN.user, help="ssh: the login (%(default)s)")
    parser.add_argument("--port", type=int, default=LOGIN.port, help="ssh: the port (%(default)s)")
    parser.add_argument("--key", type=Path, metavar="FILE", default=LOGIN.key, help="ssh: private key (%(default)s)")
    parser.add_argument(
        "--ca", type=Path, metavar="FILE", help="url: certificates to trust, as the server's own tls/certificate.pem"
    )
    parser.add_argument("--json", action="store_true", help="print the results as one JSON list")


def check(options: argparse.Namespace) -> Exit:
    """Print a line per rule."""
    return rules.report(TARGETS[options.target](options), as_json=options.json)


def _vm(options: argparse.Namespace) -> list[Result]:
    folder, engine = Folder(state_root(), options.name), Local()
    spec = vm.running(folder, engine=engine)
    return [*_from_outside(spec, engine.healthy(spec)), *_from_inside(folder.login(spec))]


def _from_outside(spec: VmSpec, answers: dict[str, bool]) -> list[Result]:
    """`health-<service>`: it answers through the forwarded port."""
    return [
        Result(
            rule=f"health-{name}",
            title=f"{name} answers",
            where="Q",
            ok=ok,
            file=spec.urls()[name] + PATHS[name],
            found="200" if ok else "no answer",
            wanted="200",
        )
        for name, ok in answers.items()
    ]


def _from_inside(login: ssh.Login) -> list[Result]:
    """Over paramiko, for the ssh program needs seconds for each command under emulation, and with our own client, which
    knows the machine's key."""
    host = testinfra.get_host("paramiko://machine", sudo=True)
    with ssh.session(login) as client:
        host.backend.client = client
        return assertions.run(host, where="Q")


def _ssh(options: argparse.Namespace) -> list[Result]:
    host = _place(options)
    if not options.key.is_file():
        raise ShedError(f"no private key: {options.key}", hint="name one with --key FILE", code=Exit.MISSING)
    known_hosts = state_root() / "known_hosts"
    known_hosts.parent.mkdir(parents=True, exist_ok=True)
    login = ssh.Login(
        host=host,
        port=options.port,
        user=options.user,
        key=options.key,
        known_hosts=known_hosts,
        patience=0.0,
    )
    ssh.run(login, ["sudo", "-n", "true"])  # else each rule would fail for that one reason
    return _from_inside(login)


def _url(options: argparse.Namespace) -> list[Result]:
    url = _place(options)
    there = urlsplit(url)
    if there.scheme not in ("http", "https") or not there.hostname:
        raise ShedError(f"no web address: {url!r}", hint=HINTS["url"], code=Exit.USAGE)
    if options.ca and not options.ca.is_file():
        raise ShedError(f"no certificates: {options.ca}", hint="--ca names a file in PEM", code=Exit.MISSING)
    return outside.run(outside.Web(url=url, authority=options.ca))


def _place(options: argparse.Namespace) -> str:
    if not options.place:
        raise ShedError(f"{options.target}: of which?", hint=HINTS[options.target], code=Exit.USAGE)
    return str(options.place)


TARGETS = {"vm": _vm, "ssh": _ssh, "url": _url}
