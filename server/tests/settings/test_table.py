"""The table of keys fits Settings, itself, and what people can read of it."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from trainshed.settings import Settings
from trainshed.settings.forms import MASK
from trainshed.settings.keys import ALIASES, BY_PATH, FILES, FIXED, IGNORED, KEYS, Key
from trainshed.settings.loading import default_of, load


def ids(key: Key) -> str:
    return key.path


def test_each_key_is_there_once_and_in_a_file() -> None:
    paths = [key.path for key in KEYS]
    assert len(set(paths)) == len(paths)
    assert {path.partition(".")[0] for path in (*paths, *ALIASES, *(one.path for one in IGNORED))} <= set(FILES)
    assert all(path == path.lower() for path in paths), "variables are lower-cased"
    assert set(ALIASES.values()) <= set(BY_PATH)
    assert set(FIXED) == {name.upper() for name in FIXED}


def test_a_further_name_sets_the_key_as_it_is_written(tmp_path: Path) -> None:
    for name, path in ALIASES.items():
        file, _, rest = name.partition(".")
        given = default_of(BY_PATH[path])
        (tmp_path / f"{file}.conf").write_text(f"{rest}: {given}")
        found = load({"CLEARML_CONFIG_DIR": str(tmp_path)})
        assert found.shown[path].origin == str(tmp_path / f"{file}.conf")
        assert not found.findings


def test_no_key_is_above_or_below_another() -> None:
    paths = sorted(key.path for key in KEYS) + [one.path for one in IGNORED]
    assert not [(one, other) for one in paths for other in paths if other.startswith(f"{one}.")]


@pytest.mark.parametrize("key", KEYS, ids=ids)
def test_a_default_is_a_value_that_may_be_given(key: Key) -> None:
    value = default_of(key)
    if value != MASK and not str(value).startswith("~"):
        assert key.form.shown(key.form.read(value)) == value


@pytest.mark.parametrize("key", KEYS, ids=ids)
def test_a_key_lands_where_its_line_says(key: Key) -> None:
    value = default_of(key)
    if value == MASK:
        return
    loaded = load({"CLEARML_CONFIG_DIR": ""}, {key.path: ("a test", value)})
    assert loaded.shown[key.path].origin == "a test"
    assert loaded.settings is not None


@pytest.mark.parametrize("key", KEYS, ids=ids)
def test_a_key_is_described_in_a_sentence(key: Key) -> None:
    assert key.doc[0].isupper() or key.doc[0].isdigit()
    assert key.doc.endswith(".")


def test_every_setting_has_a_key() -> None:
    assert set(_leaves(Settings(data_dir=Path("/")), "")) <= {key.field for key in KEYS}


def _leaves(value: Any, above: str) -> list[str]:
    if dataclasses.is_dataclass(value):
        parts = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif isinstance(value, dict):
        parts = value
    else:
        return [above[1:]]
    return [leaf for name, part in parts.items() for leaf in _leaves(part, f"{above}.{name}")]
