"""`trainshed`: parses and calls."""

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from trainshed import bootstrap
from trainshed.domain.errors import StoreError, StoreFull
from trainshed.domain.identity import Identity
from trainshed.services import Services
from trainshed.services.accounts import KeyPair
from trainshed.services.retention import FOREVER, Keep
from trainshed.settings import LISTENERS, Settings
from trainshed.transport import version
from trainshed.transport.listener import Listener, PortInUseError, check_free

DEFAULT_PORTS = {"web": 8080, "api": 8008, "files": 8081}


class Exit(IntEnum):
    """Exit codes by kind, the same as those of `shed`."""

    OK = 0
    USAGE = 2
    MISSING = 3
    CORRUPT = 5
    CONFLICT = 6
    NO_SPACE = 7


class _Refusal(Exception):
    def __init__(self, code: Exit, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit code."""
    options = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        return int(options.call(options))
    except _Refusal as refusal:
        print(f"trainshed: {refusal}\n           {refusal.hint}", file=sys.stderr)
        return int(refusal.code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trainshed",
        description="An experiment server that speaks the ClearML REST API to the unmodified client.",
        epilog="exit codes: " + ", ".join(f"{int(e)} {e.name.lower().replace('_', ' ')}" for e in Exit),
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"trainshed {version.product()}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    serve = commands.add_parser("serve", help="run the server", allow_abbrev=False)
    _add_data_dir(serve)
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for every one (default: %(default)s)"
    )
    for name, port in DEFAULT_PORTS.items():
        serve.add_argument(f"--{name}-port", type=_port, default=port, metavar="PORT", help=f"{name} (default: {port})")
    serve.add_argument("--only", type=_listeners, default=LISTENERS, metavar="LIST", help="run some of: web,api,files")
    serve.add_argument(
        "--fast-writes",
        action="store_true",
        help="do not wait for the disk at each write: a power cut may lose the last moments (a killed process never does)",
    )
    serve.add_argument(
        "--files-url",
        action="append",
        default=[],
        metavar="URL",
        help="an address by which clients reach the file server, so that links with it are known as its own",
    )
    serve.add_argument(
        "--watchdog-threshold",
        type=_seconds,
        default=7200,
        metavar="SECONDS",
        help="stop running tasks without a sign of life for so long (default: %(default)s)",
    )
    serve.add_argument(
        "--watchdog-interval",
        type=_seconds,
        default=900,
        metavar="SECONDS",
        help="between two looks for such tasks (default: %(default)s)",
    )
    _add_keep(serve)
    serve.set_defaults(call=_serve)

    retention = commands.add_parser(
        "retention", help="show what the server would remove now; removes nothing", allow_abbrev=False
    )
    _add_data_dir(retention)
    _add_keep(retention)
    retention.add_argument("--json", action="store_true", help="print JSON")
    retention.set_defaults(call=_retention)

    files = commands.add_parser("files", help="files of deleted tasks that are still to be deleted", allow_abbrev=False)
    actions = files.add_subparsers(metavar="ACTION", required=True)
    for action, text in _FILES_ACTIONS.items():
        verb = actions.add_parser(action, help=text, allow_abbrev=False)
        _add_data_dir(verb)
        verb.add_argument("--json", action="store_true", help="print JSON")
        verb.set_defaults(call=_files, action=action)

    credentials = commands.add_parser("credentials", help="access keys for clients", allow_abbrev=False)
    actions = credentials.add_subparsers(metavar="ACTION", required=True)
    create = actions.add_parser(
        "create", help="make an access key for the administrator and print it", allow_abbrev=False
    )
    _add_data_dir(create)
    create.add_argument("--label", default="", help="what it is for")
    create.add_argument(
        "--host", default="localhost", help="name of this server in the printed addresses (default: %(default)s)"
    )
    create.add_argument("--json", action="store_true", help="print JSON instead of a section of clearml.conf")
    create.add_argument(
        "--root",
        action="store_true",
        help="for the user root, who makes and deletes users, instead of the administrator",
    )
    create.set_defaults(call=_create_credentials)
    return parser


_FILES_ACTIONS = {
    "pending": "list those that the server is about to delete",
    "failed": "list those that could not be deleted, with the reason",
    "retry": "have the server try the failed ones again",
    "forget": "strike the failed ones off the list; the files stay where they are",
}


def _add_keep(parser: argparse.ArgumentParser) -> None:
    for name, what in {
        "logs": "console logs of finished tasks",
        "images": "debug images of finished tasks, with their files",
        "plots": "plots of finished tasks",
        "trash": "tasks in the trash",
    }.items():
        parser.add_argument(
            f"--keep-{name}", type=_days, metavar="DAYS", help=f"remove {what} after so many days (default: never)"
        )


def _add_data_dir(parser: argparse.ArgumentParser) -> None:
    share = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    default = Path(os.environ.get("TRAINSHED_DATA_DIR") or share / "trainshed")
    parser.add_argument(
        "--data-dir", type=Path, default=default, metavar="DIR", help="where everything is kept (default: %(default)s)"
    )


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 1 to 65535")
    return int(text)


def _seconds(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return int(text)


def _days(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days: 1 or more")
    return int(text)


def _keep(options: argparse.Namespace) -> Keep:
    return Keep(logs=options.keep_logs, images=options.keep_images, plots=options.keep_plots, trash=options.keep_trash)


def _listeners(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in LISTENERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(LISTENERS)}")
    return names


def _serve(options: argparse.Namespace) -> Exit:
    ports = {name: getattr(options, f"{name}_port") for name in options.only}
    settings = Settings(
        data_dir=options.data_dir,
        host=options.host,
        ports=ports,
        durable=not options.fast_writes,
        files_urls=tuple(options.files_url),
        silence_seconds=options.watchdog_threshold,
        watchdog_seconds=options.watchdog_interval,
        keep=_keep(options),
    )
    _check_ports(settings)
    credentials = settings.data_dir / "secrets" / "first-credentials"
    with _store(settings.data_dir):
        engines = bootstrap.open_engines(settings)
        services = bootstrap.build_services(
            engines,
            token_secret=bootstrap.secret(settings.data_dir, "token"),
            files_addresses=bootstrap.files_addresses(settings),
            silence=settings.silence_seconds,
            keep=settings.keep,
        )

        def prepare(user: str, first: KeyPair) -> None:
            services.queues.default(Identity(user=user))  # people name it before anybody asks which one it is
            bootstrap.write_private(credentials, _snippet(first, "localhost", ports))

        services.accounts.ensure_admin(prepare)
    apps = bootstrap.build_apps(engines, services)
    listeners = [
        Listener(number=number, host=settings.host, port=ports[name], app=apps[name])
        for number, name in enumerate(ports, start=1)
    ]
    jobs = bootstrap.build_jobs(settings, engines, services)
    stops = {signal.SIGTERM, signal.SIGINT}
    # Blocked in every thread, as they inherit it: one that took the signal would leave the main thread asleep.
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    for listener in listeners:
        listener.start()
    for job in jobs:
        job.start()
    shown = "localhost" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - only compared
    for name, port in ports.items():
        print(f"{name:5}  http://{shown}:{port}", flush=True)
    if credentials.exists():
        print(f"keys   {credentials}", flush=True)
    signal.sigwait(stops)
    for listener in listeners:
        listener.stop()
    for job in jobs:
        job.stop()
    engines.close()
    return Exit.OK


def _check_ports(settings: Settings) -> None:
    taken: dict[int, str] = {}
    for name, port in settings.ports.items():
        if port in taken:
            raise _Refusal(
                Exit.USAGE, f"{taken[port]} and {name} cannot share port {port}", f"choose another with --{name}-port"
            )
        taken[port] = name
        _check_address(name, settings.host, port)


def _check_address(name: str, host: str, port: int) -> None:
    try:
        check_free(host, port)
    except PortInUseError as error:
        raise _Refusal(
            Exit.CONFLICT,
            f"port {port} ({name}) is in use",
            f"stop what listens there, or choose another port with --{name}-port",
        ) from error
    except OSError as error:
        raise _Refusal(
            Exit.USAGE, f"cannot listen on {host}:{port}: {error.strerror}", "choose another --host or port"
        ) from error


@contextmanager
def _store(folder: Path) -> Iterator[None]:
    """Refuse in words that help what the store in the folder cannot do."""
    try:
        yield
    except StoreFull as error:
        raise _Refusal(
            Exit.NO_SPACE, f"no space is left for {folder}", "free some, or choose another --data-dir"
        ) from error
    except StoreError as error:
        raise _Refusal(
            Exit.CORRUPT,
            f"the store in {folder} cannot be opened: {error}",
            "restore a backup, or choose another --data-dir",
        ) from error
    except OSError as error:
        raise _Refusal(
            Exit.MISSING, f"cannot use {folder}: {error.strerror}", "make it writable, or choose another --data-dir"
        ) from error


@contextmanager
def _services(folder: Path, keep: Keep = FOREVER) -> Iterator[Services]:
    """The use cases over the data of a server, beside which this may run."""
    if not (folder / "documents.db").exists():
        raise _Refusal(Exit.MISSING, f"no server has run in {folder}", "name its --data-dir")
    with _store(folder):
        _become_owner(folder)
        engines = bootstrap.open_engines(Settings(data_dir=folder, ports={}))
        yield bootstrap.build_services(engines, token_secret=bootstrap.secret(folder, "token"), keep=keep)
        engines.close()


def _retention(options: argparse.Namespace) -> Exit:
    with _services(options.data_dir, _keep(options)) as services:
        removals = [removal._asdict() for removal in services.retention.preview()]
    if options.json:
        print(json.dumps(removals))
    for removal in () if options.json else removals:
        print("{kind:6}  {events:9}  {since}  {task}  {name}".format(**removal))
    return Exit.OK


def _files(options: argparse.Namespace) -> Exit:
    with _services(options.data_dir) as services:
        files = services.file_deletion
        if options.action in ("retry", "forget"):
            files.retry() if options.action == "retry" else files.forget()
            return Exit.OK
        listed = [
            {"url": file["url"], "reason": file["reason"], **{name: found[name] for name in _FILES_SHOWN}}
            for found in files.listed(options.action)
            for file in found["files"]
        ]
    if options.json:
        print(json.dumps(listed))
    for file in () if options.json else listed:
        print("{url}  {reason}".format(**file).rstrip())
    return Exit.OK


_FILES_SHOWN = ("owners", "user", "created", "due", "attempts")


def _create_credentials(options: argparse.Namespace) -> Exit:
    with _services(options.data_dir) as services:
        accounts = services.accounts
        user, first = (accounts.ensure_root(), None) if options.root else accounts.ensure_admin()
        pair = first or accounts.create_credentials(user, label=options.label)
    if options.json:
        print(json.dumps({"access_key": pair.access_key, "secret_key": pair.secret_key}))
    else:
        print(_snippet(pair, options.host, DEFAULT_PORTS), end="")
    return Exit.OK


def _become_owner(folder: Path) -> None:
    # Files that root makes beside the database could not be written by the server afterwards.
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)


def _snippet(pair: KeyPair, host: str, ports: dict[str, int]) -> str:
    urls = {**DEFAULT_PORTS, **ports}
    return (
        "# For ~/clearml.conf on the machine of the client.\n"
        "api {\n"
        f'    web_server: "http://{host}:{urls["web"]}"\n'
        f'    api_server: "http://{host}:{urls["api"]}"\n'
        f'    files_server: "http://{host}:{urls["files"]}"\n'
        "    credentials {\n"
        f'        "access_key" = "{pair.access_key}"\n'
        f'        "secret_key" = "{pair.secret_key}"\n'
        "    }\n"
        "}\n"
    )
