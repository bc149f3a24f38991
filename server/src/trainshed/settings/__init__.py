"""What can be set, once, typed.

The policy of an area is a frozen dataclass with defaults beside the code that uses it, as `Keep` is in services/retention.py.
`Settings` has it as a field, and a line in keys.py gives it a name in the configuration.
"""

from dataclasses import dataclass, field
from pathlib import Path

from trainshed.services.accounts import OUT_OF_THE_BOX, Policy
from trainshed.services.addresses import LISTENERS, PORTS, Addresses, Tls
from trainshed.services.file_deletion import RETRIES, Retries
from trainshed.services.gauges import Metrics
from trainshed.services.limits import LIMITS, Limits
from trainshed.services.logs import Logs
from trainshed.services.retention import FOREVER, Keep
from trainshed.services.stored_files import FILE_POLICY, FILES_PLACE, FilePolicy, FilesPlace

__all__ = ["LISTENERS", "PORTS", "Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The whole configuration of one server process.

    data_dir: where everything is kept. profile: by which engines; it is asked for by name, so that no server keeps things in
    a folder whose owner meant a cluster. host: the address to listen on. ports: listener -> TCP port. listeners: those that
    run. durable: wait for the disk at every write, so that a power cut loses nothing that was acknowledged.
    addresses: by what urls it is reached. tls: whether and how it speaks it. files_urls, files_host: further urls of the file
    server; for the deletion of files.
    watchdog: whether silent tasks are stopped. silence_seconds: how long one is silent before; watchdog_seconds: between two
    looks. patience_seconds: a client that sends or takes nothing of a request for so long is given up.
    keep: how long what is kept for finished tasks is kept. limits: how much at once.
    accounts: who may log in, and how. token_secret: signs the tokens of logins; without it one is made in data_dir.
    files: what the file server allows. files_place: where it keeps them.
    files_deletion: whether the files of what is deleted are deleted, and files_retries: how often it is tried.
    ready_file: has the addresses of the listeners while they answer. logs: where what is said goes. metrics: who reads figures.
    """

    data_dir: Path
    profile: str = "embedded"
    host: str = "127.0.0.1"
    ports: dict[str, int] = field(default_factory=PORTS.copy)
    listeners: tuple[str, ...] = LISTENERS
    durable: bool = True
    addresses: Addresses = field(default_factory=Addresses)
    tls: Tls = field(default_factory=Tls)
    files_urls: tuple[str, ...] = ()
    files_host: str = ""
    watchdog: bool = True
    silence_seconds: int = 7200  # an hour of computing between two reports is usual
    watchdog_seconds: float = 900.0
    patience_seconds: float = 30.0
    keep: Keep = FOREVER
    limits: Limits = LIMITS
    accounts: Policy = OUT_OF_THE_BOX
    token_secret: str = field(default="", repr=False)
    files_deletion: bool = True
    files_retries: Retries = RETRIES
    files: FilePolicy = FILE_POLICY
    files_place: FilesPlace = FILES_PLACE
    ready_file: Path | None = None
    logs: Logs = field(default_factory=Logs)
    metrics: Metrics = field(default_factory=Metrics)

    @property
    def running(self) -> dict[str, int]:
        """The listeners that run -> their ports."""
        return {name: self.ports[name] for name in self.listeners}
