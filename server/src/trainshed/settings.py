"""What can be set, once, typed."""

from dataclasses import dataclass
from pathlib import Path

from trainshed.services.retention import FOREVER, Keep

LISTENERS = ("web", "api", "files")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The whole configuration of one server process.

    data_dir: where everything is kept. host: the address to listen on. ports: listener -> TCP port; a listener that is not
    in it does not run. durable: wait for the disk at every write, so that a power cut loses nothing that was acknowledged.
    files_urls: what clients call the file server, besides the names of this machine; for the deletion of files.
    silence_seconds: a running task without a sign of life for so long is stopped; watchdog_seconds: between two looks.
    keep: how long what is kept for finished tasks is kept.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    ports: dict[str, int]
    durable: bool = True
    files_urls: tuple[str, ...] = ()
    silence_seconds: int = 7200  # an hour of computing between two reports is usual
    watchdog_seconds: float = 900.0
    keep: Keep = FOREVER
