"""Whether this machine runs the programs of an architecture: by its processor, or by QEMU that the kernel calls for them.

A bake runs programs of the root it makes: what packages bring to set themselves up, Python, the rules.
"""

import struct
import tempfile
from pathlib import Path

from trainshed_provision import process
from trainshed_provision.architecture import Architecture
from trainshed_provision.errors import Exit, ShedError

ADDRESS = 1 << 16  # where it is in memory: a multiple of the largest page there is
HEAD = struct.Struct("<16sHHIQQQIHHHHHH")  # of an ELF file of 64 bits
SEGMENT = struct.Struct("<IIQQQQQQ")
PROGRAM, LOADED, READ_AND_RUN = 2, 1, 5


def need(architecture: Architecture, *, within: Path) -> None:
    """Run the smallest program there is, in a root with nothing else in it, in that folder. MISSING when it does not run."""
    with tempfile.TemporaryDirectory(prefix="probe-", dir=within) as folder:
        file = Path(folder, "probe")
        file.write_bytes(program(architecture))
        file.chmod(0o755)
        try:
            process.run(["chroot", folder, "/probe"])
        except ShedError as error:
            raise ShedError(
                f"this machine does not run programs for {architecture.name}",
                hint="install with: sudo apt-get install qemu-user-static   "
                "(where no systemd runs: binfmt-support too, and sudo update-binfmts --enable)",
                code=Exit.MISSING,
            ) from error


def program(architecture: Architecture) -> bytes:
    """An ELF file that ends at once."""
    start = HEAD.size + SEGMENT.size
    size = start + len(architecture.ends)
    ident = b"\x7fELF\x02\x01\x01"  # 64 bits, the small end first
    shape = (HEAD.size, SEGMENT.size, 1, 0, 0, 0)
    head = HEAD.pack(ident, PROGRAM, architecture.elf, 1, ADDRESS + start, HEAD.size, 0, 0, *shape)
    segment = SEGMENT.pack(LOADED, READ_AND_RUN, 0, ADDRESS, ADDRESS, size, size, ADDRESS)
    return head + segment + architecture.ends
