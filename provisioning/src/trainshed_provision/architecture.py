"""What the processors that images are made for are called, by everybody who has a name of his own for them."""

import uuid
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One kind of processor; images/vm/packages.<name>.txt is what its disks need to boot.

    name: Debian's, OCI's and ours. machine: the kernel's, and that of Python's wheels, of the folder of libraries and of QEMU.
    loader: of programs, in that folder. elf: its number in the head of a program. ends: machine code that ends with code 0.
    root: type of its root partition, by the discoverable partitions specification. bios: whether it has one; all have UEFI.
    cpu: the one that QEMU emulates. efi: in the names of files that firmware looks for. grub: the folder of Debian's signed
    GRUB. ec2, gce: the names that the clouds have.
    """

    name: str
    machine: str
    loader: str
    elf: int
    ends: bytes
    root: uuid.UUID
    bios: bool
    cpu: str
    efi: str
    grub: str
    ec2: str
    gce: str

    @property
    def libraries(self) -> str:
        """Debian's folder of libraries, below the root."""
        return f"usr/lib/{self.machine}-linux-gnu"


AMD64 = Architecture(
    name="amd64",
    machine="x86_64",
    loader="ld-linux-x86-64.so.2",
    elf=62,
    ends=bytes.fromhex("b83c000000 31ff 0f05"),  # mov eax, 60 (exit); xor edi, edi; syscall
    root=uuid.UUID("4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"),
    bios=True,
    # Debian is content with qemu64, numpy wants x86-64-v2 (any processor since 2009); `max` makes emulation half as slow again.
    cpu="qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+lahf_lm",
    efi="x64",
    grub="x86_64-efi-signed",
    ec2="x86_64",
    gce="X86_64",
)
ARM64 = Architecture(
    name="arm64",
    machine="aarch64",
    loader="ld-linux-aarch64.so.1",
    elf=183,
    ends=bytes.fromhex("a80b8052 000080d2 010000d4"),  # mov w8, 93 (exit); mov x0, 0; svc 0
    root=uuid.UUID("B921B045-1DF0-41C3-AF44-4C6F280D3FAE"),
    bios=False,
    # Older than pointer authentication, which Debian's programs use where it is there: emulated, it takes seven times as long.
    cpu="cortex-a72",
    efi="aa64",
    grub="arm64-efi-signed",
    ec2="arm64",
    gce="ARM64",
)

ARCHITECTURES = {each.name: each for each in (AMD64, ARM64)}
