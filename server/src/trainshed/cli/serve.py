"""`trainshed serve`: the server."""

import argparse
import signal

from trainshed import bootstrap
from trainshed.cli.common import DEFAULT_PORTS, Commands, Exit, Refusal, add_data_dir, snippet, store
from trainshed.cli.retention import add_keep, keep
from trainshed.domain.identity import Identity
from trainshed.services.accounts import KeyPair
from trainshed.settings import LISTENERS, Settings
from trainshed.transport.listener import Listener, PortInUseError, check_free


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    serve = commands.add_parser("serve", help="run the server", allow_abbrev=False)
    add_data_dir(serve)
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
    add_keep(serve)
    serve.set_defaults(call=_serve)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 1 to 65535")
    return int(text)


def _seconds(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return int(text)


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
        keep=keep(options),
    )
    _check_ports(settings)
    credentials = settings.data_dir / "secrets" / "first-credentials"
    with store(settings.data_dir):
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
            bootstrap.write_private(credentials, snippet(first, "localhost", ports))

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
            raise Refusal(
                Exit.USAGE, f"{taken[port]} and {name} cannot share port {port}", f"choose another with --{name}-port"
            )
        taken[port] = name
        _check_address(name, settings.host, port)


def _check_address(name: str, host: str, port: int) -> None:
    try:
        check_free(host, port)
    except PortInUseError as error:
        raise Refusal(
            Exit.CONFLICT,
            f"port {port} ({name}) is in use",
            f"stop what listens there, or choose another port with --{name}-port",
        ) from error
    except OSError as error:
        raise Refusal(
            Exit.USAGE, f"cannot listen on {host}:{port}: {error.strerror}", "choose another --host or port"
        ) from error
