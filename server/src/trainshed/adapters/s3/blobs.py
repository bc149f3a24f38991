"""Blobs as objects of a bucket. This module alone imports boto3, and nobody imports it unless a bucket is configured.

Credentials are found as every AWS program finds them: variables, profiles, the role of the machine or container.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import chain
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from trainshed.adapters.s3.uploads import PART_BYTES, Uploads, in_parts
from trainshed.domain.errors import Busy, InvalidKey, NotFound, StoreError, StoreFull
from trainshed.ports.blobs import BlobInfo, Upload

_PIECE = 256 * 1024
_MOST_PARTS = 9000  # of the 10,000 that S3 allows
_MAX_NAME_BYTES = 1024
_COPY = TransferConfig(multipart_threshold=5 * 2**30 - 1, multipart_chunksize=512 * 2**20, max_concurrency=4)
_FULL = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"}
_MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchUpload"}


class S3Blobs:
    """The Blobs port on a bucket.

    Two things are less than the port promises, as the store has no more: a key may be a file and a folder at once, and a
    file that is replaced while it is read is an error for who reads it. Of one upload in parts only this process sees to
    it that no two add to it at once: its digest is what keeps several processes apart.
    """

    def __init__(
        self, *, bucket: str, prefix: str = "", endpoint: str = "", region: str = "", part_bytes: int = PART_BYTES
    ) -> None:
        """prefix: before the names of all objects. endpoint: of a store other than Amazon's."""
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=endpoint or None,
            region_name=region or None,
            config=Config(
                signature_version="s3v4",
                connect_timeout=10,
                read_timeout=60,
                max_pool_connections=64,
                retries={"mode": "standard", "max_attempts": 4},
                # Stores other than Amazon's do not know its newer checksums.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._files = self._prefix + "files/"
        self._part_bytes = part_bytes
        self._uploads = Uploads(self._client, bucket, self._prefix + "uploads/", self._part_size)
        self._busy: set[Upload] = set()
        self._lock = threading.Lock()

    def put(self, key: str, content: Iterable[bytes], *, size: int | None = None) -> BlobInfo:
        name = self._name(key)
        if len(name.encode()) > _MAX_NAME_BYTES:
            raise InvalidKey(f"{key[:200]}: an object store has no names of more than {_MAX_NAME_BYTES} bytes")
        pieces = in_parts(content, self._part_size(size or 0))
        first, second = next(pieces, b""), next(pieces, None)
        with translated(key):
            if second is None:
                self._client.put_object(Bucket=self._bucket, Key=name, Body=first)
            else:
                self._put_parts(name, first, second, pieces)
        return self.info(key)

    def info(self, key: str) -> BlobInfo:
        name = self._name(key)
        if len(name.encode()) > _MAX_NAME_BYTES:
            raise NotFound(key)
        with translated(key):
            found = self._client.head_object(Bucket=self._bucket, Key=name)
        return _info(key, found["ContentLength"], found)

    @contextmanager
    def open(self, key: str) -> Iterator["_S3Reader"]:
        yield _S3Reader(self._client, {"Bucket": self._bucket, "Key": self._name(key)}, self.info(key))

    def delete(self, key: str, *, before: datetime | None = None) -> bool:
        info = self.info(key)
        if before is not None and info.modified >= before:
            return False
        with translated(key):  # a put between the two is lost: the store deletes by name alone
            self._client.delete_object(Bucket=self._bucket, Key=self._name(key))
        return True

    def files(self, folder: str = "") -> Iterator[BlobInfo]:
        start = self._files + (folder + "/" if folder else "")
        with translated(folder):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=start):
                for found in page.get("Contents", ()):
                    yield _info(found["Key"][len(self._files) :], found["Size"], found)

    def held(self, upload: Upload) -> int:
        with translated(upload.key):
            return self._uploads.held(upload)

    def append(self, upload: Upload, start: int, content: Iterable[bytes]) -> int:
        with self._alone(upload), translated(upload.key):
            return self._uploads.append(upload, start, content)

    def finish(self, upload: Upload, check: Callable[[Iterable[bytes]], None] | None = None) -> BlobInfo:
        with self._alone(upload), translated(upload.key):
            whole = self._uploads.complete(upload)
            try:
                if check:
                    check(self._content(whole))
                source = {"Bucket": self._bucket, "Key": whole}
                self._client.copy(source, self._bucket, self._name(upload.key), Config=_COPY)
            finally:
                self._client.delete_object(Bucket=self._bucket, Key=whole)
        return self.info(upload.key)

    def forget_uploads(self, before: datetime) -> int:
        with translated(self._prefix):
            return self._uploads.forget(before) + self._abort_puts(before)

    def link(self, key: str, *, seconds: int, content_type: str, disposition: str) -> str:
        asked = {
            "Bucket": self._bucket,
            "Key": self._name(key),
            "ResponseContentType": content_type,
            "ResponseContentDisposition": disposition,
        }
        with translated(key):
            return str(self._client.generate_presigned_url("get_object", Params=asked, ExpiresIn=seconds))

    def _name(self, key: str) -> str:
        return self._files + key

    def _part_size(self, size: int) -> int:
        return max(self._part_bytes, -(-size // _MOST_PARTS))

    def _put_parts(self, name: str, first: bytes, second: bytes, rest: Iterator[bytes]) -> None:
        where = {"Bucket": self._bucket, "Key": name}
        where["UploadId"] = self._client.create_multipart_upload(**where)["UploadId"]
        parts: list[dict[str, Any]] = []
        try:
            for number, piece in enumerate(chain((first, second), rest), start=1):
                done = self._client.upload_part(**where, PartNumber=number, Body=piece)
                parts.append({"PartNumber": number, "ETag": done["ETag"]})
            self._client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
        except BaseException:
            with suppress(BotoCoreError, ClientError):
                self._client.abort_multipart_upload(**where)
            raise

    def _abort_puts(self, before: datetime) -> int:
        """Give up the uploads that killed processes left: S3 keeps, and counts, their parts for ever."""
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=self._files)
        old = [found for page in pages for found in page.get("Uploads", ()) if found["Initiated"] < before]
        for found in old:
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=found["Key"], UploadId=found["UploadId"])
        return len(old)

    def _content(self, name: str) -> Iterator[bytes]:
        body = self._client.get_object(Bucket=self._bucket, Key=name)["Body"]
        with body:
            yield from body.iter_chunks(_PIECE)

    @contextmanager
    def _alone(self, upload: Upload) -> Iterator[None]:
        with self._lock:
            if upload in self._busy:
                raise Busy("another part of this upload is on its way")
            self._busy.add(upload)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(upload)


class _S3Reader:
    """An object that is read in ranges, as long as it is the same."""

    def __init__(self, client: Any, where: dict[str, str], info: BlobInfo) -> None:
        self._client = client
        self._where = where
        self.info = info

    def chunks(self, start: int, length: int) -> Iterator[bytes]:
        if not length:
            return
        with translated(self.info.key):
            asked = {"Range": f"bytes={start}-{start + length - 1}", "IfMatch": f'"{self.info.etag}"'}
            body = self._client.get_object(**self._where, **asked)["Body"]
            with body:
                for piece in body.iter_chunks(_PIECE):
                    length -= len(piece)
                    yield piece
        if length:
            raise StoreError(f"{self.info.key}: the file is shorter than it was")


def _info(key: str, size: int, found: dict[str, Any]) -> BlobInfo:
    return BlobInfo(key=key, size=size, modified=found["LastModified"], etag=found["ETag"].strip('"'))


@contextmanager
def translated(name: str) -> Iterator[None]:
    """The store's errors as those of the port."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _MISSING:
            raise NotFound(name) from error
        raise (StoreFull if code in _FULL else StoreError)(f"{name}: {error}") from error
    except BotoCoreError as error:
        raise StoreError(f"{name}: {error}") from error
