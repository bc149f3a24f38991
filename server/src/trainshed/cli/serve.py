"""`trainshed serve`: the server."""

import argparse
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainshed import bootstrap
from trainshed.cli.common import Commands, Exit, Refusal, add_setting, configuration, snippet, store, tell, understood
from trainshed.cli.retention import add_keep
from trainshed.domain.identity import Identity
from trainshed.services import logs
from trainshed.services.accounts import Claim, KeyPair
from trainshed.services.addresses import Advertised
from trainshed.settings import LISTENERS, Settings
from trainshed.transport.listener import Listener, PortInUseError, check_free
from trainshed.transport.patience import Watch
from trainshed.transport.redirect import redirecting
from trainshed.transport.tls import Certificate

log = logging.getLogger(__name__)

PORT_KEYS = {"web": "trainshed.web.port", "api": "apiserver.listen.port", "files": "fileserver.listen.port"}
_URLS = "services.async_urls_delete.fileserver.url_prefixes"
_WATCHDOG = "services.tasks.non_responsive_tasks_watchdog"


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    serve = commands.add_parser("serve", help="run the server", allow_abbrev=False)
    add_setting(serve, "--data-dir", "trainshed.data_dir", "DIR")
    add_setting(serve, "--host", "apiserver.listen.ip", "ADDRESS")
    for name, path in PORT_KEYS.items():
        add_setting(serve, f"--{name}-port", path, "PORT")
    add_setting(serve, "--only", "trainshed.listeners", "LIST", type=_listeners)
    add_setting(serve, "--files-url", _URLS, "URL", action="append")
    add_setting(serve, "--watchdog-threshold", f"{_WATCHDOG}.threshold_sec", "SECONDS")
    add_setting(serve, "--watchdog-interval", f"{_WATCHDOG}.watch_interval_sec", "SECONDS")
    add_setting(serve, "--patience", "trainshed.patience_sec", "SECONDS")
    add_keep(serve)
    serve.add_argument(
        "--fast-writes",
        action="store_const",
        const=("--fast-writes", False),
        dest="trainshed.durable",
        default=argparse.SUPPRESS,
        help="do not wait for the disk at each write: a power cut may lose the last moments (a killed process never does)",
    )
    serve.set_defaults(call=_serve)


def _listeners(text: str) -> tuple[str, list[str]]:
    names = text.split(",")
    unknown = [name for name in names if name not in LISTENERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(LISTENERS)}")
    return "--only", names


def _serve(options: argparse.Namespace) -> Exit:
    settings, findings = configuration(options)
    ports = settings.running
    try:
        logs.install(settings.logs)
    except OSError as error:
        raise Refusal(
            Exit.MISSING,
            f"cannot write the log to {settings.logs.file}: {error.strerror}",
            "make it writable, or change logging.handlers.text_file.filename",
        ) from error
    tell(findings)
    _check_ports(settings)
    advertised = bootstrap.advertised(settings)
    credentials = settings.data_dir / "secrets" / "first-credentials"
    with store(settings.data_dir):
        engines = bootstrap.open_engines(settings)
        with understood():
            services = bootstrap.configured_services(settings, engines)

        def prepare(user: str, first: KeyPair) -> None:
            services.queues.default(Identity(user=user))  # people name it before anybody asks which one it is
            bootstrap.write_private(credentials, snippet(first, advertised.urls("localhost")))

        services.accounts.ensure_admin(prepare)
        with understood():
            claim = bootstrap.prepare_accounts(settings, services)
    jobs = bootstrap.build_jobs(settings, engines, services)
    observed = bootstrap.build_observed(settings, engines, services, jobs=jobs, advertised=advertised)
    watch = Watch(settings.patience_seconds)
    certificate = bootstrap.certificate(settings, advertised)
    tls = None if certificate is None else _files_of(certificate)
    listeners = [
        Listener(number=number, host=settings.host, port=ports[name], app=observed[name], watch=watch, tls=tls)
        for number, name in enumerate(ports, start=1)
    ]
    if certificate is not None:
        jobs = (*jobs, bootstrap.renewing(certificate, tuple(listeners), engines))
        listeners += _redirecting(settings, advertised, watch)
    stops = {signal.SIGTERM, signal.SIGINT}
    # Blocked in every thread, as they inherit it: one that took the signal would leave the main thread asleep.
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    watch.start()
    for listener in listeners:
        listener.start()
    for job in jobs:
        job.start()
    with suppress(OSError):  # its output may go to a full disk, which is no reason to end
        _tell(settings, advertised, claim, trust=None if settings.tls.certificate else tls)
    with _ready(settings, advertised):
        signal.sigwait(stops)
    for listener in listeners:  # all of them before any is waited for
        listener.refuse()
    for listener in listeners:
        listener.stop()
    watch.stop()
    for job in jobs:
        job.stop()
    engines.close()
    return Exit.OK


@contextmanager
def _ready(settings: Settings, advertised: Advertised) -> Iterator[None]:
    """Have the addresses in the file for it, meanwhile."""
    if settings.ready_file is None:
        yield
        return
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104 - only compared
    addresses = [f"{advertised.scheme}://{host}:{port}\n" for port in settings.running.values()]
    try:
        settings.ready_file.write_text("".join(addresses))
    except OSError as error:
        log.warning("trainshed.ready_file: %s cannot be written: %s", settings.ready_file, error.strerror)
    yield
    with suppress(OSError):
        settings.ready_file.unlink()


def _redirecting(settings: Settings, advertised: Advertised, watch: Watch) -> list[Listener]:
    """What sends whoever comes by http to https, where that is wanted."""
    port = settings.tls.redirect_port
    if port is None:
        return []
    number = len(settings.running) + 1
    return [Listener(number=number, host=settings.host, port=port, app=redirecting(advertised), watch=watch)]


def _tell(settings: Settings, advertised: Advertised, claim: Claim, *, trust: tuple[Path, Path] | None) -> None:
    """Say where it is reached. trust: the certificate that nobody else has signed, and its key."""
    credentials = settings.data_dir / "secrets" / "first-credentials"
    shown = "localhost" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - only compared
    for name, port in settings.running.items():
        print(f"{name:5}  {advertised.scheme}://{shown}:{port}", flush=True)
    if trust:
        print(f"trust  {trust[0]}", flush=True)
    if credentials.exists():
        print(f"keys   {credentials}", flush=True)
    if claim is Claim.OPEN:
        print(f"claim  {_claim(bootstrap.claim_file(settings.data_dir))}", flush=True)
    elif claim is Claim.TOO_LATE:
        print("claim  too late: `trainshed claim` makes another one-time token", flush=True)


def _claim(offered: Path) -> str:
    """The one-time token where a person reads it; where it would go to a log, the file with it."""
    return offered.read_text().strip() if sys.stdout.isatty() else str(offered)


def _files_of(certificate: Certificate) -> tuple[Path, Path]:
    try:
        return certificate.files()
    except OSError as error:
        raise Refusal(
            Exit.USAGE,
            f"TLS cannot be served: {error}",
            "set trainshed.tls.certificate and trainshed.tls.key to files in PEM that belong together, without a password",
        ) from error


def _check_ports(settings: Settings) -> None:
    taken: dict[int, str] = {}
    hints = {name: f"--{name}-port" for name in settings.running}
    ports = settings.running
    if settings.tls.on and settings.tls.redirect_port:
        ports["redirect"], hints["redirect"] = settings.tls.redirect_port, "trainshed.tls.redirect_port"
    for name, port in ports.items():
        if port in taken:
            raise Refusal(
                Exit.USAGE, f"{taken[port]} and {name} cannot share port {port}", f"choose another with {hints[name]}"
            )
        taken[port] = name
        _check_address(name, settings.host, port, hint=hints[name])


def _check_address(name: str, host: str, port: int, *, hint: str) -> None:
    try:
        check_free(host, port)
    except PortInUseError as error:
        raise Refusal(
            Exit.CONFLICT,
            f"port {port} ({name}) is in use",
            f"stop what listens there, or choose another port with {hint}",
        ) from error
    except OSError as error:
        raise Refusal(
            Exit.USAGE, f"cannot listen on {host}:{port}: {error.strerror}", "choose another --host or port"
        ) from error
