"""What can be set, once, typed."""

from dataclasses import dataclass
from pathlib import Path

LISTENERS = ("web", "api", "files")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The whole configuration of one server process.

    data_dir: where everything is kept. host: the address to listen on. ports: listener -> TCP port; a listener that is not
    in it does not run. durable: wait for the disk at every write, so that a power cut loses nothing that was acknowledged.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    ports: dict[str, int]
    durable: bool = True
