"""EBS direct as AWS has it: sizes, checksums, counts, parents, client tokens; a snapshot that is pending cannot be read."""

import base64
import hashlib
from typing import Any

from moto.core.responses import ActionResult
from moto.ebs.models import Block, EBSBackend, EBSSnapshot, ebs_backends
from moto.ebs.responses import EBSResponse

from trainshed_provision.testing.aws.faults import Refusal

BLOCK = 512 * 1024
LEAST_RESULTS = 100  # a page is never shorter
LARGEST_GIB = 65536

_contents: dict[bytes, bytes] = {}  # one copy of each content: most of a disk is zeros


def _invalid(message: str) -> Refusal:
    return Refusal("ValidationException", message)


def _snapshot(backend: EBSBackend, snapshot_id: str) -> Any:
    found = backend.snapshots.get(snapshot_id)
    if found is None or snapshot_id not in backend.ec2_backend.snapshots:
        raise Refusal("ResourceNotFoundException", f"The snapshot '{snapshot_id}' does not exist.")
    return found


def _completed(backend: EBSBackend, snapshot_id: str) -> Any:
    found = _snapshot(backend, snapshot_id)
    if found.status != "completed":
        raise _invalid(f"Snapshot {snapshot_id} is not in the completed state.")
    return found


def adopt(account: str, region: str, snapshot: Any, *, source: EBSSnapshot | None, parent: str = "") -> Any:
    """Give an EC2 snapshot its blocks: those of another one, or none yet."""
    made: Any = EBSSnapshot(account_id=account, snapshot=snapshot)
    made.block_size, made.parent, made.written = BLOCK, parent, set()
    made.blocks = dict(source.blocks) if source else {}
    ebs_backends[account][region].snapshots[snapshot.id] = made
    return made


def start_snapshot(self: EBSResponse) -> ActionResult:
    backend, size = self.ebs_backend, int(self._get_param("VolumeSize"))
    parent, token = self._get_param("ParentSnapshotId"), self._get_param("ClientToken")
    asked = (size, parent, self._get_param("Description"), str(self._get_param("Tags")))
    tokens: dict[str, Any] = backend.__dict__.setdefault("tokens", {})
    if token in tokens:
        before, made = tokens[token]
        if before != asked:
            raise Refusal("ConflictException", "This client token was used with other parameters.")
        return ActionResult(_described(made))
    if not 1 <= size <= LARGEST_GIB:
        raise _invalid(f"VolumeSize {size} is not a size of a volume.")
    source = _completed(backend, parent) if parent else None
    if source and source.volume_size > size:
        raise _invalid("The volume is smaller than that of the parent snapshot.")
    made = backend.start_snapshot(size, self._get_param("Tags"), self._get_param("Description") or "")
    ec2 = backend.ec2_backend.snapshots[made.snapshot_id]
    ec2.status = "pending"
    made = adopt(backend.account_id, backend.region_name, ec2, source=source, parent=parent or "")
    tokens[token] = (asked, made)
    return ActionResult(_described(made))


def _described(made: Any) -> dict[str, Any]:
    fields = {
        "SnapshotId": made.snapshot_id,
        "OwnerId": made.account_id,
        "Status": made.status,
        "StartTime": made.start_time,
        "VolumeSize": made.volume_size,
        "BlockSize": BLOCK,
        "Tags": made.tags,
        "Description": made.description,
    }
    return {**fields, "ParentSnapshotId": made.parent} if made.parent else fields


def put_snapshot_block(
    self: EBSBackend,
    snapshot_id: str,
    block_index: int,
    block_data: bytes | str,
    checksum: str | None,
    checksum_algorithm: str | None,
    data_length: int | None,
) -> tuple[str | None, str | None]:
    snapshot = _snapshot(self, snapshot_id)
    data = block_data if isinstance(block_data, bytes) else block_data.encode("latin1")
    digest, index = hashlib.sha256(data).digest(), int(block_index)
    if snapshot.status != "pending":
        raise _invalid(f"Snapshot {snapshot_id} is not pending.")
    if len(data) != BLOCK or int(data_length or 0) != BLOCK:
        raise _invalid(f"A block has {BLOCK} bytes, not {len(data)}.")
    if checksum_algorithm != "SHA256" or base64.b64encode(digest).decode() != checksum:
        raise _invalid("The checksum is not that of the data.")
    if not 0 <= index < snapshot.volume_size * 2048:
        raise _invalid(f"Block {index} is not in the volume.")
    snapshot.blocks[index] = Block(_contents.setdefault(digest, data), checksum, checksum_algorithm, BLOCK)
    snapshot.written.add(index)
    return checksum, checksum_algorithm


def complete_snapshot(self: EBSResponse) -> ActionResult:
    backend, snapshot_id = self.ebs_backend, self._get_param("SnapshotId")
    snapshot = _snapshot(backend, snapshot_id)
    if snapshot.status != "pending":
        raise _invalid(f"Snapshot {snapshot_id} is not pending.")
    count, checksum = int(self._get_param("ChangedBlocksCount")), self._get_param("Checksum")
    if count != len(snapshot.written):
        raise _invalid(f"{len(snapshot.written)} blocks were written, not {count}.")
    sums = b"".join(base64.b64decode(snapshot.blocks[index].checksum) for index in sorted(snapshot.written))
    if checksum and checksum != base64.b64encode(hashlib.sha256(sums).digest()).decode():
        raise _invalid("The aggregated checksum is not that of the blocks.")
    snapshot.status = backend.ec2_backend.snapshots[snapshot_id].status = "completed"
    return ActionResult({"Status": "completed"})


def list_snapshot_blocks(self: EBSResponse) -> ActionResult:
    snapshot = _completed(self.ebs_backend, self._get_param("SnapshotId"))
    blocks = [{"BlockIndex": i, "BlockToken": snapshot.blocks[i].block_token} for i in sorted(snapshot.blocks)]
    return _page(self, "Blocks", blocks, snapshot)


def list_changed_blocks(self: EBSResponse) -> ActionResult:
    first = _completed(self.ebs_backend, self._get_param("FirstSnapshotId"))
    second = _completed(self.ebs_backend, self._get_param("SecondSnapshotId"))
    if second.parent != first.snapshot_id:
        raise _invalid("The snapshots are not of one line.")
    changed = [
        {"BlockIndex": i, "FirstBlockToken": _token(first, i), "SecondBlockToken": _token(second, i)}
        for i in sorted(first.blocks.keys() | second.blocks.keys())
        if _data(first, i) is not _data(second, i)
    ]
    return _page(self, "ChangedBlocks", changed, second)


def _token(snapshot: Any, index: int) -> str | None:
    return snapshot.blocks[index].block_token if index in snapshot.blocks else None


def _data(snapshot: Any, index: int) -> bytes | None:
    return snapshot.blocks[index].block_data if index in snapshot.blocks else None


def _page(self: EBSResponse, name: str, blocks: list[dict[str, Any]], snapshot: Any) -> ActionResult:
    start, most = int(self._get_param("NextToken") or 0), int(self._get_param("MaxResults") or 10000)
    end = start + max(most, LEAST_RESULTS)
    result = {name: blocks[start:end], "VolumeSize": snapshot.volume_size, "BlockSize": BLOCK}
    return ActionResult({**result, "NextToken": str(end)} if end < len(blocks) else result)


def get_snapshot_block(self: EBSResponse) -> ActionResult:
    snapshot = _completed(self.ebs_backend, self._get_param("SnapshotId"))
    block = snapshot.blocks.get(int(self._get_param("BlockIndex")))
    if block is None or block.block_token != self._get_param("BlockToken"):
        raise _invalid("The block token is not of this block.")
    data = {"DataLength": BLOCK, "BlockData": block.block_data}
    return ActionResult({**data, "Checksum": block.checksum, "ChecksumAlgorithm": "SHA256"})


OVERRIDES: tuple[tuple[type, Any], ...] = (
    (EBSResponse, start_snapshot),
    (EBSBackend, put_snapshot_block),
    (EBSResponse, complete_snapshot),
    (EBSResponse, list_snapshot_blocks),
    (EBSResponse, list_changed_blocks),
    (EBSResponse, get_snapshot_block),
)
