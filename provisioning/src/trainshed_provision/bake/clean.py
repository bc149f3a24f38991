"""Takes out of the tree what building it left, and sets what must be the same in every image."""

import os
import shutil
from pathlib import Path

# Fixed contents: an empty machine-id is filled at first boot; the host name comes from cloud-init.
# The .updated files say that caches made from /usr are fresh, or the first boot would make them all again.
FIXED = {"etc/machine-id": "", "etc/hostname": "localhost\n", "etc/.updated": "", "var/.updated": ""}
RESOLVER = "../run/systemd/resolve/stub-resolv.conf"


def clean(tree: Path, *, residue: Path, sources: str, release: str) -> None:
    """Remove the globs listed in `residue`; set apt's `sources`; write /etc/trainshed-release with `release`."""
    for line in residue.read_text().splitlines():
        if line and not line.startswith("#"):
            for path in tree.glob(line):
                remove(path)
    for name, content in {**FIXED, "etc/apt/sources.list": sources, "etc/trainshed-release": release}.items():
        (tree / name).write_text(content)
    resolver = tree / "etc" / "resolv.conf"
    resolver.unlink(missing_ok=True)
    resolver.symlink_to(RESOLVER)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all it holds."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def clamp(tree: Path, epoch: int) -> None:
    """Set every time stamp younger than `epoch` (seconds) to it, that of the tree's top included."""
    inside = (Path(folder, name) for folder, dirs, files in os.walk(tree) for name in (*dirs, *files))
    for path in (tree, *inside):
        if path.lstat().st_mtime > epoch:
            os.utime(path, (epoch, epoch), follow_symlinks=False)
