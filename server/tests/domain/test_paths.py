import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.paths import as_client_stored, blob_key

LITERAL = {
    "leading slash": ("/project/task.1/artifacts/model.pt", "project/task.1/artifacts/model.pt"),
    "many slashes": ("///a//b/", "a/b"),
    "dots count for nothing": ("./a/./b", "a/b"),
    "quoted in part": ("/Caf%C3%A9 100%25/x", "Caf%C3%A9 100%25/x"),
    "quoted traversal is plain text": ("%2e%2e/%2e%2e%2fetc", "%2e%2e/%2e%2e%2fetc"),
    "raw UTF-8": ("/données/模型.bin", "données/模型.bin"),
    "dots in names": ("a/...", "a/..."),
    "hidden": (".git/..x/y..", ".git/..x/y.."),
    "long": ("模" * 250, "模" * 250),
    "a colon further in": ("project/v:1/x", "project/v:1/x"),
    "tilde and shell": ("~root/$HOME/`x`", "~root/$HOME/`x`"),
}

REFUSED = {
    "empty": "",
    "root": "/",
    "dot": ".",
    "dots": "..",
    "up": "../x",
    "up inside": "a/../../x",
    "up at the end": "a/..",
    "up after slashes": "////../x",
    "backslashes": "..\\..\\x",
    "mixed": "a/..\\x",
    "UNC": "\\\\host\\share",
    "drive": "C:/Windows",
    "drive relative": "c:x",
    "NUL": "a\0.txt",
    "newline": "a\r\nX-Header: 1",
    "delete": "a\x7f",
    "C1 control": "a\x85b",
    "lone surrogate": "a\udcff",
    "long segment": "x" * 1025,
    "long path": "ab/" * 1400,
}


@pytest.mark.parametrize(("raw", "key"), LITERAL.values(), ids=LITERAL.keys())
def test_a_name_is_taken_literally(raw: str, key: str) -> None:
    assert blob_key(raw) == key


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_a_name_that_could_leave_the_root_is_refused(raw: str) -> None:
    with pytest.raises(ApiError) as caught:
        blob_key(raw)
    assert caught.value.fault is Fault.VALIDATION_ERROR
    caught.value.message.encode()  # what is sent to the client can be encoded


@given(st.text(alphabet=st.sampled_from("./\\:a%2eC\0\u2024"), max_size=30))
def test_a_key_never_leaves_its_root_and_is_a_key_of_its_own(raw: str) -> None:
    try:
        key = blob_key(raw)
    except ApiError:
        return
    assert ".." not in key.split("/") and "" not in key.split("/")
    assert blob_key(key) == key


TASK = "an experiment%3A sizes %26 values %231.0123456789abcdef0123456789abcdef"
MEANT = {
    "a link that was unquoted too often": (
        "Proof/an experiment: sizes & values #1.0123456789abcdef0123456789abcdef/models/a#b.bin",
        f"Proof/{TASK}/models/a#b.bin",
    ),
    "a link that names the file": (f"Proof/plain.{'0' * 32}/models/x", None),
    "no task's folder": ("a: b/c", None),
}


@pytest.mark.parametrize(("key", "stored"), MEANT.values(), ids=MEANT.keys())
def test_what_the_client_means_by_a_half_quoted_link(key: str, stored: str | None) -> None:
    assert as_client_stored(key) == stored
