from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.domain.errors import ApiError, Fault
from trainshed.transport.multipart import file_parts

_DELIMITER = b"\r\n--bnd"

# Content that looks like the form around it as often as possible.
_tricky = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"-", b"--", b"--bnd", b"\n--bnd", b"\r\n--bn", b"\r\n\r\n", b"\r\n", b"x" * 40, b"\0\xff"]
    ),
    max_size=12,
).map(b"".join)
_content = (_tricky | st.binary(max_size=200)).filter(lambda data: _DELIMITER not in b"\r\n" + data + b"\r\n--")


def reader(body: bytes, sizes: Sequence[int]) -> Callable[[], bytes]:
    """The body in pieces of these sizes, over and over."""
    pieces: list[bytes] = []
    start = 0
    while start < len(body):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(body[start : start + size])
        start += size
    remaining = iter(pieces)
    return lambda: next(remaining, b"")


def part(name: str, content: bytes, disposition: str = 'form-data; name="{0}"; filename="{0}"') -> bytes:
    return b"--bnd\r\nContent-Disposition: " + disposition.format(name).encode() + b"\r\n\r\n" + content + b"\r\n"


def parsed(body: bytes, sizes: Sequence[int] = (1 << 20,)) -> list[tuple[str, bytes]]:
    return [(file.name, b"".join(file.content)) for file in file_parts(reader(body, sizes), "bnd")]


@given(st.lists(_content, max_size=3), _content, st.lists(st.integers(1, 60), min_size=1, max_size=5), st.booleans())
def test_any_content_in_any_pieces(contents: list[bytes], preamble: bytes, sizes: list[int], final_break: bool) -> None:
    body = preamble + b"\r\n" + b"".join(part(f"/{i}", content) for i, content in enumerate(contents)) + b"--bnd--"
    body += b"\r\n" * final_break
    assert parsed(body, sizes) == [(f"/{i}", content) for i, content in enumerate(contents)]


@given(_content, st.integers(1, 60), st.data())
def test_a_body_cut_anywhere_gives_no_whole_file(content: bytes, size: int, data: st.DataObject) -> None:
    body = part("/a", content) + b"--bnd"
    cut = data.draw(st.integers(0, len(body)))
    with pytest.raises(ApiError) as caught:
        parsed(body[:cut], [size])
    assert caught.value.fault is Fault.BAD_REQUEST


@given(st.binary(max_size=300), st.integers(1, 60))
def test_garbage_is_an_error_of_the_contract_or_nothing(body: bytes, size: int) -> None:
    for candidate in (body, b"--bnd" + body, b"--bnd\r\n" + body + b"--bnd--"):
        with suppress(ApiError):
            parsed(candidate, [size])


NAMES = {
    "quoted": ('form-data; name="/a b"; filename="x"', "/a b"),
    "unquoted": ("form-data; name=/a; filename=x", "/a"),
    "any order": ('form-data; filename="x";name="/a"', "/a"),
    "upper case": ('FORM-DATA; NAME="/a"; FileName="x"', "/a"),
    "percent stays": ('form-data; name="/caf%C3%A9 %25"; filename="x"', "/caf%C3%A9 %25"),
    "raw UTF-8": ('form-data; name="/模型; x=\'1\'.bin"; filename="x"', "/模型; x='1'.bin"),
    "escaped quote": (r'form-data; name="/a\"b"; filename="x"', '/a"b'),
    "backslash": (r'form-data; name="C:\x"; filename="x"', r"C:\x"),
    "extended file name": ("form-data; name=\"/a\"; filename*=utf-8''x%C3%A9", "/a"),
    "extended name": ("form-data; name*=utf-8'en'%2Fcaf%C3%A9; filename=x", "/café"),
    "extended wins": ("form-data; name=\"/cafe\"; name*=UTF-8''/caf%C3%A9; filename=x", "/café"),
    "no field name": ('form-data; filename="/x"', "/x"),
    "folded": ('form-data;\r\n name="/a";\r\n\tfilename="x"', "/a"),
}


@pytest.mark.parametrize(("disposition", "name"), NAMES.values(), ids=NAMES.keys())
def test_names(disposition: str, name: str) -> None:
    assert parsed(part("", b"content", disposition.replace("{", "{{")) + b"--bnd--\r\n") == [(name, b"content")]


def test_headers_come_in_any_order_and_case() -> None:
    body = (
        b"--bnd \t\r\nContent-Type: text/plain\r\ncontent-DISPOSITION:form-data; name=/a; filename=x\r\nX-Y: z\r\n\r\n"
        b"content\r\n--bnd--"
    )
    assert parsed(body, [1]) == [("/a", b"content")]


def test_ordinary_fields_are_skipped() -> None:
    field = b'--bnd\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    bare = b"--bnd\r\n\r\nno header at all\r\n"
    assert parsed(field + part("/a", b"1") + bare + field + b"--bnd--") == [("/a", b"1")]


def test_what_is_left_of_a_content_is_skipped() -> None:
    body = part("/a", b"x" * 100) + part("/b", b"y") + b"--bnd--"
    assert [file.name for file in file_parts(reader(body, [7]), "bnd")] == ["/a", "/b"]


LIMITS = {
    "long field": b'--bnd\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * 2_000_000 + b"\r\n--bnd--",
    "many parts": part("/a", b"") * 1001 + b"--bnd--",
    "long preamble": b"x" * 2_000_000 + b"\r\n--bnd--",
    "long epilogue": b"--bnd--" + b"x" * 2_000_000,
    "long header": b"--bnd\r\n" + b"x" * 100_000,
    "long padding": b"--bnd" + b" " * 100_000,
    "name is not UTF-8": b'--bnd\r\nContent-Disposition: form-data; name="\xff"; filename=x\r\n\r\n\r\n--bnd--',
    "extended name is not UTF-8": part("", b"", "form-data; name*=utf-8''%FF; filename=x") + b"--bnd--",
    "unknown charset": part("", b"", "form-data; name*=utf-7''x; filename=x") + b"--bnd--",
    "boundary goes on": b"--bndx\r\n\r\n\r\n--bnd--",
    "empty body": b"",
}


@pytest.mark.parametrize("body", LIMITS.values(), ids=LIMITS.keys())
def test_what_no_client_sends_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError):
        parsed(body, [4096])


@pytest.mark.parametrize("boundary", ["", "x" * 201, "a\r\nb", "é"])
def test_a_malformed_boundary_is_refused(boundary: str) -> None:
    with pytest.raises(ApiError):
        next(file_parts(reader(b"", [1]), boundary))
