"""Uploads in parts, in an object store: a multipart upload for each, and an object with what is too short to be a part of it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from trainshed.domain.errors import WrongOffset
from trainshed.ports.blobs import Upload

PART_BYTES = 8 * 2**20  # S3 takes no parts under 5 MiB but the last


class _State(NamedTuple):
    """What is there: number of the multipart upload, its parts, and the bytes after them."""

    upload_id: str
    parts: list[dict[str, Any]]
    tail: bytes

    @property
    def in_parts(self) -> int:
        return sum(part["Size"] for part in self.parts)

    @property
    def held(self) -> int:
        return self.in_parts + len(self.tail)


class Uploads:
    """What is there of each upload, below a prefix of the bucket. part_size: for a file of so many bytes."""

    def __init__(self, client: Any, bucket: str, prefix: str, part_size: Callable[[int], int]) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._part_size = part_size

    def held(self, upload: Upload) -> int:
        return self._state(upload).held

    def append(self, upload: Upload, start: int, content: Iterable[bytes]) -> int:
        state = self._state(upload)
        if start == 0:
            state = self._begin(upload, state)
        elif start != state.held:
            raise WrongOffset(state.held)
        offset, number, rest = state.in_parts, len(state.parts), _Rest(state.tail)
        try:
            for part in rest.parts(content, self._part_size(upload.size)):
                number += 1
                self._client.upload_part(**self._whole(upload), UploadId=state.upload_id, PartNumber=number, Body=part)
                offset += len(part)
        finally:
            self._keep_tail(upload, offset, bytes(rest.buffer))
        return offset + len(rest.buffer)

    def complete(self, upload: Upload) -> str:
        """Make an object of it, and return its name. Raises WrongOffset."""
        state = self._state(upload)
        if state.held != upload.size:
            raise WrongOffset(state.held)
        whole = self._whole(upload)
        parts = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in state.parts]
        if state.tail:
            number = len(parts) + 1
            done = self._client.upload_part(**whole, UploadId=state.upload_id, PartNumber=number, Body=state.tail)
            parts.append({"PartNumber": number, "ETag": done["ETag"]})
        self._client.complete_multipart_upload(**whole, UploadId=state.upload_id, MultipartUpload={"Parts": parts})
        self._client.delete_object(**self._tail(upload))
        return whole["Key"]

    def forget(self, before: datetime) -> int:
        touched: dict[str, datetime] = {}  # folder of an upload -> when something was added to it
        found = [part for page in self._pages("list_multipart_uploads") for part in page.get("Uploads", ())]
        objects = [part for page in self._pages("list_objects_v2") for part in page.get("Contents", ())]
        for upload in found:
            latest = [part["LastModified"] for part in self._parts(upload["Key"], upload["UploadId"])]
            _touch(touched, upload["Key"], max([upload["Initiated"], *latest]))
        for item in objects:
            _touch(touched, item["Key"], item["LastModified"])
        old = {folder for folder, moment in touched.items() if moment < before}
        for upload in found:
            if _folder(upload["Key"]) in old:
                self._abort(upload["Key"], upload["UploadId"])
        for item in objects:
            if _folder(item["Key"]) in old:
                self._client.delete_object(Bucket=self._bucket, Key=item["Key"])
        return len(old)

    def _begin(self, upload: Upload, state: _State) -> _State:
        if state.upload_id:
            self._abort(self._whole(upload)["Key"], state.upload_id)
        return _State(self._client.create_multipart_upload(**self._whole(upload))["UploadId"], [], b"")

    def _state(self, upload: Upload) -> _State:
        name = self._whole(upload)["Key"]
        pages = self._pages("list_multipart_uploads", name)
        found = [part for page in pages for part in page.get("Uploads", ()) if part["Key"] == name]
        if not found:
            return _State("", [], b"")
        latest = max(found, key=lambda part: part["Initiated"])["UploadId"]
        parts = list(self._parts(name, latest))
        offset = sum(part["Size"] for part in parts)
        return _State(latest, parts, self._read_tail(upload, f"{latest} {offset}"))

    def _keep_tail(self, upload: Upload, offset: int, tail: bytes) -> None:
        if not tail:
            self._client.delete_object(**self._tail(upload))
            return
        name = self._whole(upload)["Key"]
        found = [p for page in self._pages("list_multipart_uploads", name) for p in page.get("Uploads", ())]
        latest = max(found, key=lambda part: part["Initiated"])["UploadId"] if found else ""
        self._client.put_object(**self._tail(upload), Body=tail, Metadata={"after": f"{latest} {offset}"})

    def _read_tail(self, upload: Upload, after: str) -> bytes:
        """What comes after the parts; nothing when it was written after others than these."""
        try:
            found = self._client.get_object(**self._tail(upload))
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return b""
            raise
        with found["Body"] as body:
            return bytes(body.read()) if found["Metadata"].get("after") == after else b""

    def _parts(self, name: str, upload_id: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("list_parts").paginate(Bucket=self._bucket, Key=name, UploadId=upload_id)
        for page in pages:
            yield from page.get("Parts", ())

    def _pages(self, operation: str, prefix: str = "") -> Any:
        return self._client.get_paginator(operation).paginate(Bucket=self._bucket, Prefix=prefix or self._prefix)

    def _abort(self, name: str, upload_id: str) -> None:
        self._client.abort_multipart_upload(Bucket=self._bucket, Key=name, UploadId=upload_id)

    def _whole(self, upload: Upload) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}{_id(upload)}/whole"}

    def _tail(self, upload: Upload) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}{_id(upload)}/tail"}


class _Rest:
    """Cuts content into parts; what is left over stays in the buffer, also when the content breaks off."""

    def __init__(self, start: bytes = b"") -> None:
        self.buffer = bytearray(start)

    def parts(self, content: Iterable[bytes], size: int) -> Iterator[bytes]:
        for piece in content:
            self.buffer += piece
            while len(self.buffer) >= size:
                part = bytes(memoryview(self.buffer)[:size])
                yield part
                del self.buffer[:size]  # only now is it there


def in_parts(content: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The content in parts of this size, the last one shorter."""
    rest = _Rest()
    yield from rest.parts(content, size)
    if rest.buffer:
        yield bytes(rest.buffer)


def _id(upload: Upload) -> str:
    return hashlib.sha256(f"{upload.key}\0{upload.size}\0{upload.name}".encode()).hexdigest()


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _touch(touched: dict[str, datetime], name: str, moment: datetime) -> None:
    folder = _folder(name)
    touched[folder] = max(touched.get(folder, moment), moment)
