"""The reply of a call for many."""

from collections.abc import Callable, Iterable
from typing import Any

from trainshed.domain.errors import ApiError


def each(ids: Iterable[str], act: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """Act on one after the other: what each answers under `succeeded`, and under `failed` those that were refused."""
    succeeded, failed = [], []
    for entity in ids:
        try:
            succeeded.append({"id": entity, **act(entity)})
        except ApiError as error:
            codes = [error.fault.code, error.fault.subcode]
            failed.append({"id": entity, "error": {"codes": codes, "msg": error.message, "data": error.data}})
    return {"succeeded": succeeded, "failed": failed}
