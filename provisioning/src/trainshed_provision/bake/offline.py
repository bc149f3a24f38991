"""Asks the image rules of a tree that is not booted."""

import shlex
import subprocess
from dataclasses import dataclass

from trainshed_provision.bake.context import Bake
from trainshed_provision.bake.converge import in_root

# Debian's own, whatever the builder's is: a command in /usr/local must be found.
ENVIRONMENT = ("HOME=/root", "LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command in the tree left."""

    rc: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Tree:
    """A host of the assertions that runs commands in the tree.

    Testinfra's chroot backend has no /proc, and what a command leaves in /tmp or /run would stay in the image; here
    those are private to the command.
    """

    bake: Bake

    def run(self, command: str, *args: str) -> Answer:
        """As Testinfra's run: %s stands for a quoted argument."""
        line = command % tuple(shlex.quote(a) for a in args) if args else command
        told = ("env", "-i", *ENVIRONMENT, f"QEMU_CPU={self.bake.architecture.cpu}")
        argv = in_root(self.bake, ["chroot", self.bake.tree, *told, "sh", "-c", line])
        # Not process.run: a rule may want a command to fail.
        done = subprocess.run([str(a) for a in argv], capture_output=True, check=False)  # noqa: S603 - an argv list
        return Answer(rc=done.returncode, stdout=done.stdout.decode(), stderr=done.stderr.decode())
