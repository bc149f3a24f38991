"""The configuration of a machine: which source wins, what is said of a mistake, and that secrets stay secret."""

import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from trainshed.settings import Settings, hocon
from trainshed.settings.loading import Finding, Level, Loaded, load, merged
from trainshed.settings.sources import FOLDERS, Raw, leaves

THRESHOLD = "services.tasks.non_responsive_tasks_watchdog.threshold_sec"
VARIABLE = "CLEARML__SERVICES__TASKS__NON_RESPONSIVE_TASKS_WATCHDOG__THRESHOLD_SEC"


def folder(path: Path, **files: str) -> str:
    """A folder of configuration files."""
    path.mkdir(exist_ok=True)
    for name, text in files.items():
        (path / f"{name}.conf").write_text(text)
    return str(path)


def loaded(*folders: str, **variables: str) -> Loaded:
    return load({"HOME": "/nowhere", "CLEARML_CONFIG_DIR": os.pathsep.join(folders), **variables})


def settings(*folders: str, **variables: str) -> Settings:
    found = loaded(*folders, **variables)
    assert found.settings is not None, found.findings
    return found.settings


def only(found: Loaded) -> Finding:
    (finding,) = found.findings
    return finding


def test_without_files_and_variables_all_is_as_built_in() -> None:
    found = loaded()
    assert found.settings == Settings(data_dir=Path.home() / ".local/share/trainshed")
    assert not found.findings
    assert {one.origin for one in found.shown.values()} == {"default"}


def test_what_reads_files_is_not_loaded_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trainshed.settings.hocon", None)
    monkeypatch.delattr("trainshed.settings.hocon")
    assert settings(**{VARIABLE: "5"}).silence_seconds == 5
    with pytest.raises(ImportError):
        settings(folder(tmp_path, services=""))


def test_a_later_folder_wins_and_variables_win_over_files(tmp_path: Path) -> None:
    one = folder(
        tmp_path / "one", services="tasks.non_responsive_tasks_watchdog { threshold_sec: 1, watch_interval_sec: 2 }"
    )
    two = folder(tmp_path / "two", services="tasks { non_responsive_tasks_watchdog.threshold_sec = 3 }")
    assert (settings(one, two).silence_seconds, settings(one, two).watchdog_seconds) == (3, 2)
    assert settings(two, one).silence_seconds == 1
    assert settings(one, two, **{VARIABLE: "4"}).silence_seconds == 4
    above = load({"CLEARML_CONFIG_DIR": one, VARIABLE: "4"}, {THRESHOLD: ("--watchdog-threshold", 5)})
    assert above.settings is not None
    assert above.settings.silence_seconds == 5
    assert above.shown[THRESHOLD].origin == "--watchdog-threshold"


def test_the_usual_folders_are_read_when_they_are_there(tmp_path: Path) -> None:
    old, new = folder(tmp_path / "old", apiserver="listen { port: 1, ip: a }"), str(tmp_path / "new")
    found = load({}, folders=[old, new])
    assert found.settings is not None
    assert (found.settings.ports["api"], found.findings) == (1, ())
    folder(tmp_path / "new", apiserver="listen.port: 2")
    found = load({}, folders=[old, new])
    assert found.settings is not None
    assert (found.settings.ports["api"], found.settings.host) == (2, "a")
    assert FOLDERS[-1] == "/opt/clearml/config"


def test_a_folder_in_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "apiserver.conf").mkdir()
    assert "it cannot be read: Is a directory" in only(loaded(str(tmp_path))).text


def test_the_old_name_of_a_variable_counts_below_the_new_one() -> None:
    old = VARIABLE.replace("CLEARML", "TRAINS")
    assert settings(**{old: "7"}).silence_seconds == 7
    assert settings(**{old: "7", VARIABLE: "8"}).silence_seconds == 8


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert settings(**{VARIABLE: ""}) == settings()


def test_a_file_of_one_service_is_a_branch_of_services(tmp_path: Path) -> None:
    where = folder(tmp_path / "config")
    folder(tmp_path / "config" / "services", tasks="non_responsive_tasks_watchdog.threshold_sec: 11")
    assert settings(where).silence_seconds == 11


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("services", "tasks.non_responsive_tasks_watchdog.threshold_sec: soon", 'or more, and is "soon"'),
        ("services", "tasks.non_responsive_tasks_watchdog.threshold_sec: [1]", "or more, and is [1]"),
        ("services", "tasks.non_responsive_tasks_watchdog.threshold_sec: true", "or more, and is true"),
        ("apiserver", "listen { port: 70000 }", "a whole number: 1 to 65535, and is 70000"),
        ("apiserver", "listen {\n port: 1", "line 2, column"),
        ("apiserver", "[1, 2]", "keys with values, not a list"),
        ("apiserver", 'include url("http://127.0.0.1:9/x")', "only files of this machine"),
        ("apiserver", 'include "http://127.0.0.1:9/x"', "only files of this machine"),
        ("apiserver", 'include package("this:x")', "only files can be included"),
        ("apiserver", 'include "broken.inc"', "broken.inc, which it includes: line 2, column"),
        ("apiserver", '1.5+=-a"a"', "it is not HOCON"),
        ("apiserver", 'include "../not/there.conf"\nlisten.port: [', "line 2"),
        ("apiserver", "listen.port: ${NOT_THERE}", "NOT_THERE"),
    ],
)
def test_what_is_wrong_is_an_error_that_names_the_place(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / "broken.inc").write_text("listen {\n port: 1")
    found = loaded(folder(tmp_path, **{name: text}))
    assert found.settings is None
    assert only(found).level is Level.ERROR
    assert only(found).origin == str(tmp_path / f"{name}.conf")
    assert said in only(found).text


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("services.tasks.non_responsive_tasks_watchdog.treshold_sec", THRESHOLD),
        ("services.threshold_sec", THRESHOLD),
        ("apiserver.listen.prot", "apiserver.listen.port"),
        ("apiserver.default_worker_timeout_sec", "services.workers.default_worker_timeout_sec"),
    ],
)
def test_an_unknown_key_is_a_warning_with_the_nearest_one(path: str, nearest: str) -> None:
    found = loaded(**{"CLEARML__" + path.upper().replace(".", "__"): "1"})
    assert found.settings == settings()
    assert only(found).level is Level.WARNING
    assert f"is {nearest} meant?" in only(found).text


def test_no_key_is_named_that_is_not_near() -> None:
    assert "meant" not in only(loaded(CLEARML__APISERVER__SOMETHING__ELSE__ENABLED="1")).text
    assert "is one of apiserver, hosts," in only(loaded(CLEARML__WEBSERVER__X="1")).text


def test_an_unknown_file_and_a_missing_folder_are_warnings(tmp_path: Path) -> None:
    assert "it is not read" in only(loaded(folder(tmp_path, clearml="a: 1"))).text
    assert only(loaded(str(tmp_path / "nowhere"))).level is Level.WARNING


def test_a_key_of_another_server_is_a_note_with_the_reason(tmp_path: Path) -> None:
    found = loaded(folder(tmp_path, apiserver="mongo { strict: true }"), CLEARML_REDIS_SERVICE_HOST="redis")
    assert {finding.level for finding in found.findings} == {Level.NOTE}
    assert all("without MongoDB" in finding.text for finding in found.findings)


def test_a_file_for_the_logging_of_another_server_is_worth_notes_only(tmp_path: Path) -> None:
    text = "version: 1, handlers { console { class: StreamHandler, level: INFO } }, root { handlers: [a], level: INFO }"
    found = loaded(folder(tmp_path, logging=text))
    assert found.worst() is Level.NOTE
    paths = [finding.path for finding in found.findings]
    assert len(paths) == len({*paths}), "one for a branch"


def test_an_older_name_of_a_key(tmp_path: Path) -> None:
    where = folder(tmp_path, apiserver="workers.default_timeout: 5")
    assert settings(where).limits.worker == 5
    assert settings(where, CLEARML__SERVICES__WORKERS__DEFAULT_WORKER_TIMEOUT_SEC="6").limits.worker == 6


def test_the_variables_of_the_client_are_none_of_ours() -> None:
    assert not loaded(CLEARML__SDK__DEVELOPMENT__X="1", CLEARML__AGENT__WORKER_ID="2").findings


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("*", ("*",)),
        ('"*"', ("*",)),
        ("https://a.example.com", ("https://a.example.com",)),
        ('["https://a.example.com", "b"]', ("https://a.example.com", "b")),
        ('[ "https://a.example.com"', None),
        ("[a, b]", ("a", "b")),
        ("[]", ()),
        ("null", ()),
    ],
)
def test_a_list_of_texts_in_a_variable(text: str, origins: tuple[str, ...] | None) -> None:
    found = loaded(CLEARML__APISERVER__CORS__ORIGINS=text).settings
    assert (found.accounts.cors.origins if found else None) == origins


@pytest.mark.parametrize("text", ['{"port": 9000}', "{port: 9000}", '{"port": "9000"}'])
def test_a_branch_in_a_variable(text: str) -> None:
    found = settings(CLEARML__APISERVER__LISTEN=text)
    assert (found.ports["api"], found.host) == (9000, "127.0.0.1")


@pytest.mark.parametrize("text", ["{port: ", "{port 9000]"])
def test_a_variable_that_cannot_be_read(text: str) -> None:
    assert only(loaded(CLEARML__APISERVER__LISTEN=text)).level is Level.ERROR


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("1.5", 1.5), ("5m", 300), ("2 hours", 7200), ("1d", 86_400), ('"30 s"', 30), ("20 minutes", 1200)],
)
def test_a_time(text: str, expected: float) -> None:
    assert settings(**{VARIABLE: text}).silence_seconds == expected


@pytest.mark.parametrize(
    "text", ["500ms", "0", "-1", "NaN", "Infinity", "1e999", "nan", "5 m 3 s", "true", "[1]", "1 ms"]
)
def test_what_is_no_time(text: str) -> None:
    assert only(loaded(**{VARIABLE: text})).level is Level.ERROR


def test_a_mark_at_the_begin_of_a_file_and_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "apiserver.conf").write_bytes(b"\xef\xbb\xbflisten.port: 9000\r\n")
    assert settings(str(tmp_path)).ports["api"] == 9000
    (tmp_path / "apiserver.conf").write_bytes(b"listen.port: \xff")
    assert "it is not UTF-8" in only(loaded(str(tmp_path))).text


def test_a_file_that_includes_itself(tmp_path: Path) -> None:
    assert only(loaded(folder(tmp_path, apiserver='include "apiserver.conf"'))).level is Level.ERROR


def test_a_branch_is_no_value() -> None:
    assert "must be an object, with " in only(loaded(CLEARML__SERVICES__EVENTS="1")).text


@pytest.mark.parametrize("text", ["a#b", "12345678", "x{y", "null", "true", '"quoted"', "7d", "a,b", "$HOME"])
def test_a_text_in_a_variable_is_taken_as_it_stands(text: str) -> None:
    assert settings(CLEARML__APISERVER__LISTEN__IP=text).host == text.strip('"')


def test_a_file_may_take_values_from_the_environment_and_include_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_PORT", "9000")
    (tmp_path / "more.inc").write_text("listen.ip: 127.0.0.2")
    found = settings(folder(tmp_path, apiserver='listen.port: ${SOME_PORT}\ninclude "more.inc"'))
    assert (found.ports["api"], found.host) == (9000, "127.0.0.2")


PIECES = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ":",
        "+=",
        ",",
        "\n",
        '"',
        '"""',
        "a",
        "b.c",
        "include ",
        '"x"',
        "${a}",
        "1",
        "#x",
        "//",
        "\\",
        "url(",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join))
@settings_of_hypothesis(max_examples=25, deadline=None)
def test_whatever_stands_in_a_file_it_is_read_or_refused(text: str) -> None:
    with suppress(hocon.Unreadable):
        assert isinstance(hocon.parse(text, Path("/nowhere")), dict)


SOURCES = ("one folder", "a later folder", "TRAINS__", "CLEARML__", "a flag")


@given(st.sets(st.sampled_from(SOURCES)))
@settings_of_hypothesis(max_examples=15, deadline=None)
def test_the_strongest_source_that_says_something_wins(saying: set[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        text = '{{"tasks": {{"non_responsive_tasks_watchdog": {{"threshold_sec": {}}}}}}}'
        folders = []
        for number, source in enumerate(SOURCES[:2], start=1):
            files = {"services": text.format(number)} if source in saying else {}
            folders.append(folder(Path(place) / str(number), **files))
        environ = {"CLEARML_CONFIG_DIR": os.pathsep.join(folders)}
        environ |= {VARIABLE.replace("CLEARML", "TRAINS"): "3"} if "TRAINS__" in saying else {}
        environ |= {VARIABLE: "4"} if "CLEARML__" in saying else {}
        found = load(environ, {THRESHOLD: ("--flag", "5")} if "a flag" in saying else {})
    assert found.settings is not None
    strongest = max((SOURCES.index(source) + 1 for source in saying), default=7200)
    assert found.settings.silence_seconds == strongest


NAMES = st.sampled_from(["a", "b", "c"])
TREES = st.recursive(
    st.integers(0, 9), lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3), max_leaves=6
)
FILES = st.dictionaries(NAMES, TREES, max_size=3)


def onto(below: object, above: object) -> object:
    """As HOCON merges: object into object, all else replaces."""
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    return {**below, **{name: onto(below.get(name), value) for name, value in above.items()}}


@given(st.lists(FILES, max_size=4))
@settings_of_hypothesis(max_examples=30, deadline=None)
def test_layers_merge_as_trees_do(layers: list[dict[str, object]]) -> None:
    tree: object = {}
    for layer in layers:
        tree = onto(tree, layer)
    assert isinstance(tree, dict)
    wanted = {raw.path: raw.value for raw in leaves(tree, "file", "")}
    given_ = [raw for number, layer in enumerate(layers) for raw in leaves(layer, "file", str(number))]
    found = merged(given_)
    assert {path: raw.value for path, raw in found.items()} == wanted


@given(st.lists(FILES, max_size=3))
@settings_of_hypothesis(max_examples=30, deadline=None)
def test_a_key_with_a_dash_drops_what_was_below_it(layers: list[dict[str, object]]) -> None:
    given_ = [raw for layer in layers for raw in leaves(layer, "file", "")]
    given_ += list(leaves({"-a": {"new": 1}}, "file", "last"))
    found = merged(given_)
    assert [path for path in found if path.startswith("file.a")] == ["file.a.new"]
    assert found["file.a.new"] == Raw("file.a.new", 1, "last")


def test_a_way_to_https_without_https_is_told_of() -> None:
    port = {"CLEARML__TRAINSHED__TLS__REDIRECT_PORT": "8000"}
    found = only(loaded(**port))
    assert (found.level, found.path) == (Level.WARNING, "trainshed.tls.redirect_port")
    assert "tls.own" in found.text
    assert not loaded(**port, CLEARML__TRAINSHED__TLS__OWN="true").findings
