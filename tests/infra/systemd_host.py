"""A host of its own beside this machine's: a root folder in which systemd is the first process, in its own namespaces.

It shares the network, so what listens there listens here, and may not set anything of the kernel. It is killed as a power
cut does it, and boots again.
"""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from trainshed.testing.live import wait_until

BOOT_SECONDS = 60
COMMAND_SECONDS = 300
# What would look for devices, addresses and clouds.
MASKED = (
    *("systemd-udevd.service", "systemd-udev-trigger.service", "systemd-resolved.service", "systemd-networkd.service"),
    *("systemd-networkd-wait-online.service", "systemd-timesyncd.service", "cloud-init-local.service"),
    *("cloud-init-main.service", "cloud-init-network.service", "cloud-config.service", "cloud-final.service"),
    *("ssh.service", "apt-daily.timer", "apt-daily-upgrade.timer", "getty.target"),
)

BOOT = """
set -e
mount --rbind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount --bind "$2" sys/fs/cgroup
mount -t tmpfs tmpfs dev
for device in null zero full random urandom tty; do
    touch dev/$device
    mount --bind /dev/$device dev/$device
done
mkdir dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mkdir -p old
pivot_root . old
umount -l old
exec env -i container=trainshed PATH=/usr/sbin:/usr/bin:/sbin:/bin /sbin/init
"""

NAMESPACES = ("--mount", "--pid", "--uts", "--ipc", "--cgroup")


@dataclass
class SystemdHost:
    """One in a folder, made of a tar of a root. Needs root."""

    folder: Path
    running: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    pid: int = field(default=0, init=False)  # of its first process, as this machine counts

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def cgroup(self) -> Path:
        """Of the second generation, whatever else this machine has."""
        top = Path("/sys/fs/cgroup/unified")
        return (top if top.is_dir() else top.parent) / f"trainshed-{os.getpid()}"

    def unpack(self, archive: Path) -> None:
        """Make its root."""
        self.root.mkdir()
        subprocess.run(["tar", "--extract", "--numeric-owner", "--file", archive, "--directory", self.root], check=True)
        for unit in MASKED:
            (self.root / "etc/systemd/system" / unit).symlink_to("/dev/null")

    def boot(self) -> None:
        """Return when all units are started."""
        self.cgroup.mkdir(exist_ok=True)
        namespaces = ["--fork", "--kill-child=SIGKILL", "--propagation=private", *NAMESPACES]
        words = ["sh", "-c", BOOT, "boot", str(self.root), str(self.cgroup)]
        with (self.folder / "console").open("ab") as console:
            enter = f'echo $$ >{self.cgroup}/cgroup.procs; exec unshare "$@"'
            self.running = subprocess.Popen(
                ["sh", "-c", enter, "enter", *namespaces, *words],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        wait_until(self._is_up, seconds=BOOT_SECONDS, poll=0.1)

    def _is_up(self) -> bool:
        assert self.running
        assert self.running.poll() is None, (self.folder / "console").read_text()
        children = Path(f"/proc/{self.running.pid}/task/{self.running.pid}/children").read_text().split()
        if not children or Path(f"/proc/{children[0]}/comm").read_text().strip() != "systemd":
            return False
        self.pid = int(children[0])
        return self.inside("systemctl", "is-system-running", ok=(0, 1)).strip() in ("running", "degraded")

    def enter(self) -> list[str]:
        """The beginning of a command line that runs in it."""
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return ["nsenter", f"--target={self.pid}", *NAMESPACES, "env", "-i", path, "HOME=/root"]

    def inside(self, *words: str, ok: tuple[int, ...] = (0,)) -> str:
        """Run a command in it; its standard output."""
        done = subprocess.run(
            [*self.enter(), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode in ok, f"{words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def cut_power(self) -> None:
        """All its processes die at once."""
        if self.running:
            if self.pid:
                os.kill(self.pid, signal.SIGKILL)
            self.running.kill()
            self.running.wait()
            self.running, self.pid = None, 0

    def remove(self) -> None:
        """It and all it has."""
        self.cut_power()
        wait_until(self._left_no_cgroup, seconds=BOOT_SECONDS, poll=0.1)  # the dead are gone when their parents know
        shutil.rmtree(self.root)

    def _left_no_cgroup(self) -> bool:
        try:
            for folder in sorted((path for path in self.cgroup.rglob("*") if path.is_dir()), reverse=True):
                folder.rmdir()
            self.cgroup.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True
