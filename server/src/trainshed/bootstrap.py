"""Settings -> a server. The only module that names concrete adapters."""

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import flask

from trainshed.adapters.files.blobs import FileBlobs
from trainshed.adapters.files.restoring import RESTORING, FolderTarget
from trainshed.adapters.files.snapshots import FolderSource
from trainshed.adapters.files.switch import Switch
from trainshed.adapters.files.vault import FolderVault, TarReader, TarWriter
from trainshed.adapters.memory.cache import MemoryCache
from trainshed.adapters.oidc.provider import OidcProvider
from trainshed.adapters.sqlite.cache import MIGRATIONS as CACHE_MIGRATIONS
from trainshed.adapters.sqlite.cache import SqliteCache
from trainshed.adapters.sqlite.documents.store import SqliteDocuments
from trainshed.adapters.sqlite.events.schema import MIGRATIONS as EVENT_MIGRATIONS
from trainshed.adapters.sqlite.events.store import SqliteEvents
from trainshed.adapters.sqlite.snapshots import SqliteSource, check_schema, check_whole, latest_of
from trainshed.adapters.sqlite.snapshots import in_use as database_in_use
from trainshed.adapters.system.certificate import left, own_certificate
from trainshed.adapters.system.clock import SystemClock
from trainshed.adapters.system.memory import Memory
from trainshed.domain import dates
from trainshed.domain.errors import Fault, StoreError, StoreFull
from trainshed.ports.backups import Damaged
from trainshed.ports.blobs import Blobs
from trainshed.ports.cache import Cache
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Documents
from trainshed.ports.events import Events
from trainshed.services import Services, backup, joins, listing
from trainshed.services.accounts import (
    OUT_OF_THE_BOX,
    Accounts,
    Announcement,
    Claim,
    Logins,
    People,
    Policy,
    SingleSignOn,
)
from trainshed.services.accounts.passwords import Checker, of_fixed
from trainshed.services.accounts.people import Ticket
from trainshed.services.addresses import Advertised
from trainshed.services.archive import Archive
from trainshed.services.catalog import Catalog
from trainshed.services.census import Census
from trainshed.services.cloning import Cloning
from trainshed.services.events import EventLog
from trainshed.services.facets import Facets
from trainshed.services.file_deletion import RETRIES, FileDeletion, Retries
from trainshed.services.file_links import FileLinks
from trainshed.services.filing import Filing
from trainshed.services.gauges import Gauge, gauges
from trainshed.services.history import History
from trainshed.services.limits import LIMITS, Limits
from trainshed.services.models import Models
from trainshed.services.organization import Organization
from trainshed.services.pipelines import Pipelines
from trainshed.services.project_copies import ProjectCopies
from trainshed.services.project_deletion import ProjectDeletion
from trainshed.services.project_stats import ProjectStats
from trainshed.services.project_tree import ProjectTree
from trainshed.services.projects import Projects
from trainshed.services.queues import Queues
from trainshed.services.relocation import Relocation
from trainshed.services.reports import Reports
from trainshed.services.retention import FOREVER, Keep, Retention
from trainshed.services.serving import Serving
from trainshed.services.storage import Storage
from trainshed.services.stored_files import FILE_POLICY, FilePolicy, StoredFiles
from trainshed.services.task_parts import TaskParts
from trainshed.services.task_queueing import TaskQueueing
from trainshed.services.tasks import Tasks
from trainshed.services.users import Users
from trainshed.services.watchdog import SILENCE, Watchdog
from trainshed.services.workers import Workers
from trainshed.settings import Settings
from trainshed.transport import version
from trainshed.transport.api import create_api_app
from trainshed.transport.auth import Guard
from trainshed.transport.files import create_files_app
from trainshed.transport.front import Front, WsgiApp
from trainshed.transport.listener import Listener
from trainshed.transport.metrics import Requests, WithMetrics
from trainshed.transport.observed import Observed
from trainshed.transport.sso import pages
from trainshed.transport.tls import Certificate, Files
from trainshed.transport.web import create_web_app

log = logging.getLogger(__name__)

DATABASES = ("documents.db", "events.db", "cache.db")  # in the data folder

_BALLAST_BYTES = 2**20  # three times what the indexes of the write-ahead logs take, with the logs themselves
_FILES_SECONDS = 60.0  # between two looks for files to delete
_UPLOADS_SECONDS = 3600.0  # between two looks for uploads that nobody goes on with
_RECOUNT_SECONDS = 3600.0  # between two looks at what other processes stored
_RETENTION_SECONDS = 3600.0  # between two looks for what is too old: days are what it counts in
_LONGEST_STEP = 300.0  # seconds for a step of a job; then another process takes the first one for dead
_SETTLE_SECONDS = 1.0  # until other processes see what an event says of its task; this one always does
_MEMORY_SECONDS = 10.0  # between two looks at what is held and free
_CERTIFICATE_SECONDS = 60.0  # between two looks whether there is a new certificate
_COMPACT_SECONDS = 15.0  # between two looks for recent points to pack: often enough, as unpacked ones read well


@dataclass(frozen=True, kw_only=True)
class Engines:
    """The engines of one server."""

    documents: Documents
    events: Events
    cache: Cache
    blobs: Blobs
    clock: Clock

    def close(self) -> None:
        """Release them all."""
        self.documents.close()
        self.events.close()
        self.cache.close()


def open_engines(settings: Settings) -> Engines:
    """The embedded engines in the data directory, which is made when it is missing. Raises OSError, StoreError."""
    root = settings.data_dir
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if is_half_restored(root):
        raise StoreError("a restore was cut and left a part of it: restore again")
    ballast = root / "ballast"
    try:
        engines = _open_engines(settings)
    except StoreFull:
        if not ballast.exists():
            raise
        ballast.unlink()
        return _open_engines(settings)
    _lay_in(ballast)
    return engines


def _open_engines(settings: Settings) -> Engines:
    root, clock = settings.data_dir, SystemClock()
    with ExitStack() as opened:  # until all of them are
        documents = SqliteDocuments(root / "documents.db", durable=settings.durable)
        opened.callback(documents.close)
        events = SqliteEvents(root / "events.db", durable=settings.durable)
        opened.callback(events.close)
        cache = SqliteCache(root / "cache.db", clock=clock)
        opened.callback(cache.close)
        engines = Engines(documents=documents, events=events, cache=cache, blobs=_open_blobs(settings), clock=clock)
        opened.pop_all()
    return engines


def _lay_in(ballast: Path) -> None:
    """Keep some room for a start on a disk that others have filled to the last byte: even to read, SQLite needs a little."""
    with suppress(OSError):  # there is none
        if not ballast.exists():
            write_private(ballast, "-" * _BALLAST_BYTES)


def _open_blobs(settings: Settings) -> Blobs:
    place = settings.files_place
    if not place.bucket:
        return FileBlobs(place.folder or settings.data_dir / "files", reserve=settings.files.free_bytes)
    # Only where it is wanted: its driver doubles the memory of the server and the time of its start.
    from trainshed.adapters.s3.blobs import S3Blobs

    return S3Blobs(bucket=place.bucket, prefix=place.prefix, endpoint=place.endpoint, region=place.region)


def backup_sources(settings: Settings, scratch: Path) -> backup.Sources:
    """What a backup of the embedded engines consists of; files in a bucket are not of it.

    scratch: a folder with room for a copy of the largest database.
    """
    data, place = settings.data_dir, settings.files_place
    folders = {"secrets": data / "secrets", **({} if place.bucket else {"files": place.folder or data / "files"})}
    return backup.Sources(
        folders=[FolderSource(folder, name) for name, folder in folders.items()],
        databases=[SqliteSource(data / name, scratch) for name in DATABASES],
    )


def system_clock() -> Clock:
    """Of this machine."""
    return SystemClock()


def backup_folder(place: Path) -> FolderVault:
    """Where many backups are kept."""
    return FolderVault(place)


def backup_archive(place: Path) -> TarReader:
    """A file with one backup. Raises Damaged."""
    return TarReader(place)


def backup_archive_writer(place: Path) -> TarWriter:
    """A new file for one backup."""
    return TarWriter(place)


def restore_target(data_dir: Path) -> FolderTarget:
    """A data folder to be filled from a backup."""
    return FolderTarget(data_dir)


def prepare_restored(folder: Path) -> None:
    """Bring restored databases to the form of this release. Raises StoreError for those of a newer one."""
    for name in DATABASES:
        if not (folder / name).exists():
            raise Damaged(f"the backup has no {name}")
    open_engines(Settings(data_dir=folder)).close()


def in_use(data_dir: Path) -> bool:
    """Whether a process has databases of the data folder open."""
    return any(database_in_use(data_dir / name) for name in DATABASES)


def check_database(path: Path, *, whole: bool) -> None:
    """Raise StoreError for a database of a newer release, and for one whose pages do not fit. whole: look at all pages."""
    check_schema(path, {"events.db": len(EVENT_MIGRATIONS), "cache.db": len(CACHE_MIGRATIONS)}.get(path.name, 0))
    if whole:
        check_whole(path)


def latest_change(data_dir: Path) -> float | None:
    """When a task changed last, Unix time."""
    text = latest_of(data_dir / "documents.db", "tasks", "v_last_update")
    return None if text is None else dates.from_text(text).timestamp()


def is_half_restored(data_dir: Path) -> bool:
    """Whether a restore was cut and left a part of it."""
    return (data_dir / RESTORING).exists()


def build_services(
    engines: Engines,
    *,
    token_secret: bytes,
    files_addresses: Sequence[str] = (),
    silence: int = SILENCE,
    policy: Policy = OUT_OF_THE_BOX,
    local_only: bool = False,
    keep: Keep = FOREVER,
    limits: Limits = LIMITS,
    retries: Retries = RETRIES,
    file_policy: FilePolicy = FILE_POLICY,
    claimed: Callable[[], object] = lambda: None,
) -> Services:
    """The use cases over the engines.

    policy: of accounts. local_only: whether only this machine reaches the server. Raises ValueError for users of the
    configuration that cannot be meant.
    files_addresses: what clients call the file server. silence: see Watchdog. keep: what is removed when.
    file_policy: what the file server allows. claimed: called when somebody becomes the first administrator.
    """
    documents, events, cache, clock = engines.documents, engines.events, engines.cache, engines.clock
    accounts = Accounts(
        documents=documents,
        cache=cache,
        clock=clock,
        token_secret=token_secret,
        announcement=Announcement(version.text(version.API), version.SERVER),
        policy=policy,
    )
    fixed = of_fixed(policy.fixed_users)
    checker = Checker(policy.passwords.rounds, fixed.values())
    people = People(
        documents=documents, clock=clock, checker=checker, policy=policy, changed=accounts.forget, claimed=claimed
    )
    logins = Logins(
        documents=documents,
        cache=cache,
        clock=clock,
        accounts=accounts,
        people=people,
        checker=checker,
        fixed=fixed,
        policy=policy,
        name_login=local_only if policy.name_login is None else policy.name_login,
    )
    projects = Projects(documents=documents, cache=cache, clock=clock, limits=limits)
    history = History(events=events, cache=cache, clock=clock)
    queues = Queues(documents=documents, cache=cache, clock=clock, history=history, limits=limits)
    files = FileDeletion(
        documents=documents, events=events, blobs=engines.blobs, clock=clock, addresses=files_addresses, retries=retries
    )
    tasks = Tasks(
        documents=documents, events=events, clock=clock, projects=projects, queues=queues, files=files, limits=limits
    )
    workers = Workers(documents=documents, clock=clock, history=history, tasks=tasks, limits=limits)
    models = Models(documents=documents, events=events, clock=clock, projects=projects, tasks=tasks)
    task_catalog, model_catalog = (
        Catalog(
            documents=documents, cache=cache, projects=projects, entity=entity, references=references, limits=limits
        )
        for entity, references in ((listing.TASKS, joins.TASKS), (listing.MODELS, joins.MODELS))
    )
    cloning = Cloning(tasks=tasks, projects=projects)
    queueing = TaskQueueing(documents=documents, clock=clock, tasks=tasks, queues=queues, workers=workers)
    log_of_events = EventLog(documents=documents, events=events, cache=cache, clock=clock, limits=limits)
    project_stats = ProjectStats(documents=documents, clock=clock, projects=projects)
    watchdog = Watchdog(
        documents=documents, cache=cache, clock=clock, tasks=tasks, events=log_of_events, silence=silence
    )
    return Services(
        limits=limits,
        accounts=accounts,
        people=people,
        logins=logins,
        sso=_single_sign_on(policy, logins=logins, clock=clock, token_secret=token_secret),
        facets=Facets(documents=documents, projects=projects),
        archive=Archive(clock=clock, tasks=tasks, models=models),
        census=Census(documents=documents, clock=clock),
        cloning=cloning,
        model_catalog=model_catalog,
        task_catalog=task_catalog,
        model_filing=Filing(
            documents=documents,
            clock=clock,
            projects=projects,
            collection="models",
            unknown=Fault.INVALID_MODEL_ID,
            public=Fault.INVALID_MODEL_ID,
        ),
        task_filing=Filing(
            documents=documents,
            clock=clock,
            projects=projects,
            collection="tasks",
            unknown=Fault.INVALID_TASK_ID,
            public=Fault.NO_WRITE_PERMISSION,
        ),
        storage=Storage(documents=documents, clock=clock, secret=token_secret),
        users=Users(
            documents=documents, cache=cache, clock=clock, projects=projects, limits=limits, changed=accounts.forget
        ),
        projects=projects,
        project_stats=project_stats,
        project_tree=ProjectTree(documents=documents, projects=projects),
        organization=Organization(
            cache=cache, project_stats=project_stats, tasks=task_catalog, models=model_catalog, limits=limits
        ),
        pipelines=Pipelines(documents=documents, projects=projects, tasks=tasks, cloning=cloning, queueing=queueing),
        reports=Reports(documents=documents, cache=cache, projects=projects, tasks=tasks, limits=limits),
        project_deletion=ProjectDeletion(
            documents=documents, events=events, projects=projects, queues=queues, files=files
        ),
        project_copies=ProjectCopies(
            documents=documents,
            events=events,
            blobs=engines.blobs,
            clock=clock,
            projects=projects,
            files=files,
            log=log_of_events,
        ),
        file_deletion=files,
        file_links=FileLinks(secret=token_secret, clock=clock, identity=accounts.identity),
        stored_files=StoredFiles(blobs=engines.blobs, clock=clock, policy=file_policy, uploading=watchdog.saw),
        relocation=Relocation(documents=documents, events=events, files=files),
        tasks=tasks,
        task_parts=TaskParts(tasks=tasks, files=files),
        task_queueing=queueing,
        models=models,
        events=log_of_events,
        watchdog=watchdog,
        retention=Retention(documents=documents, events=events, clock=clock, files=files, keep=keep),
        queues=queues,
        workers=workers,
        serving=Serving(documents=documents, clock=clock, history=history, limits=limits),
    )


def configured_services(settings: Settings, engines: Engines) -> Services:
    """The use cases of a server that is set up so. Raises OSError, and ValueError for users that cannot be meant."""
    return build_services(
        engines,
        token_secret=settings.token_secret.encode() or secret(settings.data_dir, "token"),
        files_addresses=advertised(settings).own_files(),
        silence=settings.silence_seconds,
        keep=settings.keep,
        policy=settings.accounts,
        local_only=advertised(settings).on_loopback,
        limits=settings.limits,
        retries=settings.files_retries,
        file_policy=settings.files,
        claimed=lambda: _withdraw_claim(settings.data_dir),
    )


def _single_sign_on(policy: Policy, *, logins: Logins, clock: Clock, token_secret: bytes) -> SingleSignOn | None:
    oidc = policy.oidc
    if not oidc.issuer:
        return None
    provider = OidcProvider(
        issuer=oidc.issuer, client_id=oidc.client_id, client_secret=oidc.client_secret, scopes=oidc.scopes
    )
    return SingleSignOn(provider=provider, logins=logins, clock=clock, token_secret=token_secret, policy=oidc)


def claim_file(data_dir: Path) -> Path:
    """Where the one-time token is that claims the server."""
    return data_dir / "secrets" / "claim"


def offer_claim(data_dir: Path, people: People) -> Ticket:
    """Make that token; an older one is void. The time stamp of the file says until when it is good. Raises OSError."""
    ticket = people.claim_ticket()
    write_private(claim_file(data_dir), f"{ticket.token}\n")
    deadline = dates.from_text(ticket.expires).timestamp()
    os.utime(claim_file(data_dir), (deadline, deadline))
    return ticket


def _withdraw_claim(data_dir: Path) -> None:
    with suppress(OSError):  # the token is void by now, whatever stands there
        claim_file(data_dir).unlink()


def prepare_accounts(settings: Settings, services: Services) -> Claim:
    """Bring the user store to what the configuration says, and offer a server that others reach to whoever claims it.

    It is offered by itself once, at the first start. Returns how far the claim is. Raises ValueError, OSError.
    """
    people = services.people
    people.configure_fixed()
    services.accounts.configure_keys()
    claim = people.claim()
    closed = not advertised(settings).on_loopback and not settings.accounts.fixed_users.enabled
    if claim is Claim.NEVER_OFFERED and closed:
        offer_claim(settings.data_dir, people)
        return Claim.OPEN
    if claim is not Claim.OPEN:
        claim_file(settings.data_dir).unlink(missing_ok=True)
    return claim


def build_apps(engines: Engines, services: Services, policy: Policy = OUT_OF_THE_BOX) -> dict[str, flask.Flask]:
    """Listener -> its WSGI application. policy: of accounts."""
    guard = Guard(services.accounts, services.logins, policy=policy)
    files = create_files_app(files=services.stored_files, authenticate=guard.identify, links=services.file_links)
    web = create_web_app(product_version=version.product())
    if services.sso:
        web.register_blueprint(pages(services.sso, services.accounts, guard))
    for app in (files, web):
        guard.install(app)
    return {"web": web, "api": create_api_app(services, guard), "files": files}


def build_fronts(
    settings: Settings, engines: Engines, apps: Mapping[str, WsgiApp], advertised: Advertised
) -> dict[str, Front]:
    """Listener -> what stands before the applications on it."""

    def ready() -> str | None:
        try:
            engines.documents.get("settings", "ready")
            engines.events.stats("ready")
            engines.cache.get("ready")
        except StoreError as error:
            log.error("not ready: %s", error)
            return "the store is not available"
        return None

    switch = maintenance(settings.data_dir)
    return {
        name: Front(listener=name, apps=apps, advertised=advertised, ready=ready, maintenance=switch.word)
        for name in settings.listeners
    }


def build_observed(
    settings: Settings,
    engines: Engines,
    services: Services,
    *,
    jobs: Sequence["Periodic"],
    advertised: Advertised,
) -> dict[str, Observed]:
    """Listener -> all that it serves, with figures and ids of its requests."""
    requests, started, data = Requests(), time.time(), settings.data_dir
    guard = Guard(services.accounts, services.logins, policy=settings.accounts)

    def now() -> Iterator[Gauge]:
        disk = os.statvfs(data)
        return gauges(
            engines.documents,
            services.events,
            jobs=jobs,
            stores={name: _size_of(data / name) for name in DATABASES},
            free=disk.f_bavail * disk.f_frsize,
            product=version.product(),
            started=started,
        )

    apps: dict[str, WsgiApp] = {**build_apps(engines, services, settings.accounts)}
    apps["api"] = WithMetrics(
        apps["api"],
        requests=requests,
        gauges=now,
        identify=guard.identify,
        open_to=[ip_network(network) for network in settings.metrics.open_to],
    )
    proxies = settings.addresses.proxies
    return {
        name: Observed(front, listener=name, requests=requests, proxies=proxies, access=settings.logs.access)
        for name, front in build_fronts(settings, engines, apps, advertised).items()
    }


def _size_of(database: Path) -> int:
    """Bytes of its files."""
    return sum(path.stat().st_size for path in (database, Path(f"{database}-wal")) if path.exists())


def maintenance(data_dir: Path) -> Switch:
    """The switch that turns everybody away; its file is as good as any command."""
    return Switch(data_dir / "maintenance")


def secret(data_dir: Path, name: str) -> bytes:
    """A secret of this server, made at first use; only its owner can read the file. Raises OSError."""
    folder = data_dir / "secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / name
    if not path.exists():
        draft = folder / f".{name}.{os.getpid()}.{threading.get_ident()}"
        write_private(draft, secrets.token_hex(32))
        try:
            os.link(draft, path)  # the first process wins, and nobody sees half a secret
            _sync_folder(folder)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, to the disk; as its folder, if it is missing. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Bring the names in it to the disk: the content of a file alone may have none after a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Periodic:
    """Does a job in the background, step by step, every so many seconds from start() to stop().

    step: does a bounded part; whether more is left to do at once. Of several processes with one cache, one does the job.
    A failure ends the round and is logged, the first of a row alone: the next round tries again.
    """

    def __init__(self, name: str, step: Callable[[], bool], *, seconds: float, cache: Cache) -> None:
        self.name = name
        self.last_success = 0.0
        self._lease = f"lease:{name}"
        self._step = step
        self._seconds = seconds
        self._cache = cache
        self._failing = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the present step."""
        self._stopping.set()
        self._thread.join()

    def turn(self) -> None:
        """Do what there is to do, unless another process does or did so a moment ago."""
        try:
            if self._cache.add(self._lease, b"", _LONGEST_STEP):
                self._work()
        except Exception as error:  # the edge of a thread: without it nobody would do the job any more
            if not self._failing:  # a full disk, say: it may last, and where it happened says nothing more
                said = "%s failed (%s); it is tried again every %g seconds"
                log.error(said, self.name, error, self._seconds, exc_info=not isinstance(error, StoreFull))
            self._failing = True

    def _work(self) -> None:
        try:
            began = time.monotonic()
            while not self._stopping.is_set() and self._step():
                self._cache.set(self._lease, b"", _LONGEST_STEP)
                # As long as it worked it stands aside: callers share the processor with it, and would wait for all of it.
                self._stopping.wait(time.monotonic() - began)
                began = time.monotonic()
        finally:
            # It ends a little before this process comes back for it.
            self._cache.set(self._lease, b"", self._seconds * 0.9)
        if self._failing:
            log.info("%s works again", self.name)
        self._failing = False
        self.last_success = time.time()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.turn()
            self._stopping.wait(self._seconds)


def build_jobs(settings: Settings, engines: Engines, services: Services) -> tuple[Periodic, ...]:
    """What the server does by itself. Before the threads of the listeners are there, see Memory."""
    cache = engines.cache

    def settle() -> bool:
        services.events.settle()
        return False

    jobs = [
        # Each process for itself, so the lease is its own.
        Periodic("settling", settle, seconds=_SETTLE_SECONDS, cache=MemoryCache(engines.clock)),
        Periodic("memory", Memory().give_back, seconds=_MEMORY_SECONDS, cache=MemoryCache(engines.clock)),
        Periodic("packing of points", engines.events.compact, seconds=_COMPACT_SECONDS, cache=cache),
        Periodic("unfinished uploads", services.stored_files.forget_uploads, seconds=_UPLOADS_SECONDS, cache=cache),
        Periodic("retention", services.retention.step, seconds=_RETENTION_SECONDS, cache=cache),
    ]
    if settings.files.quota_bytes:  # each process for itself, too
        own = MemoryCache(engines.clock)
        jobs.append(Periodic("counting of files", services.stored_files.recount, seconds=_RECOUNT_SECONDS, cache=own))
    if settings.files_deletion:
        jobs.append(Periodic("deletion of files", services.file_deletion.step, seconds=_FILES_SECONDS, cache=cache))
    if settings.watchdog:
        jobs.append(Periodic("watchdog", services.watchdog.look, seconds=settings.watchdog_seconds, cache=cache))
    return tuple(jobs)


def renewing(certificate: Certificate, listeners: Sequence[Listener], engines: Engines) -> Periodic:
    """Has the listeners take a certificate that was renewed."""

    def look() -> bool:
        if certificate.renewed():
            for listener in listeners:
                listener.renew()
        return False

    return Periodic("renewal of the certificate", look, seconds=_CERTIFICATE_SECONDS, cache=MemoryCache(engines.clock))


def advertised(settings: Settings) -> Advertised:
    """What is said of the addresses of this server."""
    further = (*settings.files_urls, *((settings.files_host,) if settings.files_host else ()))
    return Advertised(
        addresses=settings.addresses,
        files_urls=further,
        host=settings.host,
        ports=settings.ports,
        scheme="https" if settings.tls.on else "http",
    )


def certificate_left(settings: Settings) -> timedelta:
    """How long the certificate that is in force still holds. Raises OSError, ValueError for one that cannot be served with."""
    found = certificate(settings, advertised(settings))
    if found is None:
        raise ValueError("no TLS is served")
    return left(found.files()[0], now=SystemClock().now())


def certificate(settings: Settings, advertised: Advertised) -> Certificate | None:
    """What TLS is served with, if it is."""
    said = settings.tls.certificate

    def find() -> Files:
        if said is not None:
            return said, settings.tls.key or said
        return own_certificate(settings.data_dir / "tls", advertised.names(), now=SystemClock().now())

    return Certificate(find) if settings.tls.on else None
