"""What several services' requests share."""

from typing import Annotated, Any, Literal, TypeAlias, TypeVar, Union

import msgspec
from msgspec import UNSET, Meta, UnsetType

T = TypeVar("T")
# Left out, null, or a T.
Maybe: TypeAlias = Union[T, UnsetType, None]  # noqa: UP007 - mypy takes no other form of a generic alias
FreeForm = dict[str, Any]

# What one call may name: each name costs work, and memory.
FieldNames = Annotated[list[str], Meta(max_length=1_000)]
ManyIds = Annotated[list[str], Meta(max_length=10_000)]
ONE_OR_MANY = str | Annotated[list[str | None], Meta(max_length=100_000)] | None
# JSON knows longer numbers, stores do not.
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
# Rows of a listing: two of these multiplied are still 64 bits.
Number = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
_Scalar = str | Int64 | float | bool | None
# What a filter by a dotted path compares with.
DottedValue: TypeAlias = _Scalar | list[_Scalar]


class Request(msgspec.Struct, kw_only=True):
    """The base of every request."""


class Empty(Request, kw_only=True):
    """A call without arguments."""


class MultiFieldPattern(Request, kw_only=True):
    """A condition on several fields: a regular expression found in one (or all), or dates within a bound."""

    fields: list[str]
    pattern: str | None = None
    datetime: str | list[str | None] | None = None


class FieldGroup(msgspec.Struct, forbid_unknown_fields=True):
    """Values of which (any or all) must be there (include) or lacking (exclude)."""

    include: list[str | None] | None = None
    exclude: list[str | None] | None = None


class FieldFilter(msgspec.Struct, forbid_unknown_fields=True):
    """A value of `filters`."""

    any: FieldGroup | None = None
    all: FieldGroup | None = None
    op: Literal["and", "or"] = "and"


class Listing(Request, kw_only=True):
    """What every listing takes. Conditions on dotted paths come as further keys, see transport.fields.listing."""

    id: ONE_OR_MANY = None
    name: str | None = None
    tags: ONE_OR_MANY = None
    system_tags: ONE_OR_MANY = None
    order_by: str | FieldNames | None = None
    page: Number | None = None
    page_size: Count | None = None
    search_text: str | None = None
    only_fields: str | FieldNames | None = None
    projection: str | FieldNames | None = None
    search_hidden: bool | None = None
    scroll_id: Maybe[str] = UNSET
    refresh_scroll: bool | None = None
    size: Count | None = None
    filters: dict[str, FieldFilter] | None = None
    any_: MultiFieldPattern | None = msgspec.field(name="_any_", default=None)
    all_: MultiFieldPattern | None = msgspec.field(name="_all_", default=None)
    or_: MultiFieldPattern | None = msgspec.field(name="_or_", default=None)


class Metadata(Request, kw_only=True):
    """An entry of the metadata of a model or queue."""

    key: str
    type: Maybe[str] = UNSET
    value: Maybe[str] = UNSET
