"""What every Documents engine must do. Bind it with a subclass that has a fixture `documents`: an empty store."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from trainshed.domain.errors import Duplicate, InvalidRegex, NotFound
from trainshed.ports.documents import Document, Documents, Tally
from trainshed.ports.query import And, Eq, Exists, Filter, Has, In, Not, Or, Page, Path, Range, Regex, Scalar, Sort

VALUE, LIST, ODD = ("x",), ("tags",), ("hyperparams", "a.\"b\\c'$[0]/", "v")

# One value a document; the id is the position in this list. Together they hold every kind, and pairs that are easy to mix up.
VALUES: list[Any] = [
    0, 1, -7, 2.5, 1.0, 2**53 + 1, float(2**53), 2**63, "", "0", "1", "run 2", "run 11", "RUN 2", "ü", "\uffff", "😀", "a\nb",
    True, False, None, [], ["1", 1], ["x", None, True], {}, {"k": 1}, "true", "[]", "null",
]  # fmt: skip

FILTERS: list[tuple[Filter, Callable[[Any], bool]]] = [
    (Eq(VALUE, 1), lambda v: type(v) in (int, float) and v == 1),
    (Eq(VALUE, 1.0), lambda v: type(v) in (int, float) and v == 1),
    (Eq(VALUE, True), lambda v: v is True),
    (Eq(VALUE, False), lambda v: v is False),
    (Eq(VALUE, "1"), lambda v: v == "1"),
    (Eq(VALUE, "[]"), lambda v: v == "[]"),
    (Eq(VALUE, ""), lambda v: v == ""),
    (Eq(VALUE, None), lambda v: v is None),
    (Eq(VALUE, 2**53 + 1), lambda v: v == 2**53 + 1),
    (Eq(VALUE, 2**63), lambda v: v == 2**63),
    (Eq(VALUE, "no such value"), lambda v: False),
    (In(VALUE, ()), lambda v: False),
    (In(VALUE, ("1", 2.5, True)), lambda v: v in ("1", 2.5) or v is True),
    (In(VALUE, (None,)), lambda v: v is None),
    (In(VALUE, ("ü", None)), lambda v: v is None or v == "ü"),
    (
        In(VALUE, (True, *map(str, range(1000)), None, 0)),
        lambda v: v in ("0", "1") or v is True or v is None or v is VALUES[0],
    ),
    (Range(VALUE, low=1), lambda v: type(v) in (int, float) and v >= 1),
    (Range(VALUE, low=1, low_open=True), lambda v: type(v) in (int, float) and v > 1),
    (Range(VALUE, high=1), lambda v: type(v) in (int, float) and v <= 1),
    (Range(VALUE, high=1, high_open=True), lambda v: type(v) in (int, float) and v < 1),
    (Range(VALUE, low=0, high=2.5, high_open=True), lambda v: type(v) in (int, float) and 0 <= v < 2.5),
    (Range(VALUE, low="1", high="run 2"), lambda v: isinstance(v, str) and "1" <= v <= "run 2"),
    (Range(VALUE, low="\uffff"), lambda v: isinstance(v, str) and v >= "\uffff"),
    (Range(VALUE, high="0"), lambda v: isinstance(v, str) and v <= "0"),
    (Range(VALUE, low=0, high="z"), lambda v: False),
    (Range(VALUE), lambda v: isinstance(v, str | int | float)),
    (Regex(VALUE, "^run"), lambda v: isinstance(v, str) and v.startswith("run")),
    (Regex(VALUE, "N 2$", ignore_case=True), lambda v: v in ("run 2", "RUN 2")),
    (Regex(VALUE, "^.$"), lambda v: isinstance(v, str) and len(v) == 1),
    (Regex(VALUE, ""), lambda v: isinstance(v, str)),
    (Exists(VALUE), lambda v: v is not None),
    (Has(VALUE, 1), lambda v: v == ["1", 1]),
    (Has(VALUE, "1"), lambda v: v == ["1", 1]),
    (Has(VALUE, True), lambda v: v == ["x", None, True]),
    (Has(VALUE, None), lambda v: v == ["x", None, True]),
    (Has(VALUE, "k"), lambda v: False),
]


class DocumentsConformance:
    """One test per promise of the port."""

    # Documents one by one

    def test_what_goes_in_comes_out(self, documents: Documents) -> None:
        document = {"id": "1", "a": [1, 2.5, "ü", None, True, {"": {}}], "\x00\"'\\$.": {"b": "\x00😀"}, "big": 2**100}
        documents.insert("tasks", document)
        assert documents.get("tasks", "1") == document

    def test_they_cross_as_json(self, documents: Documents) -> None:
        documents.insert("tasks", {"id": "1", "tuple": (1, 2), "nan": float("nan"), "inf": float("inf")})
        assert documents.get("tasks", "1") == {"id": "1", "tuple": [1, 2], "nan": None, "inf": None}

    def test_an_unknown_id_is_none(self, documents: Documents) -> None:
        assert documents.get("tasks", "1") is None

    def test_an_unknown_collection_is_a_bug(self, documents: Documents) -> None:
        with pytest.raises(KeyError):
            documents.get("nonsense", "1")

    def test_collections_are_apart(self, documents: Documents) -> None:
        documents.insert("tasks", {"id": "1"})
        documents.insert("models", {"id": "1"})
        documents.delete("models", And())
        assert documents.get("tasks", "1") == {"id": "1"}

    def test_an_id_is_taken_once(self, documents: Documents) -> None:
        documents.insert("tasks", {"id": "1", "x": 1})
        with pytest.raises(Duplicate):
            documents.insert("tasks", {"id": "1", "x": 2})
        assert documents.get("tasks", "1") == {"id": "1", "x": 1}

    def test_unique_values_are_taken_once(self, documents: Documents) -> None:
        documents.insert("projects", {"id": "1", "company": "c", "name": "n"})
        documents.insert("projects", {"id": "2", "company": "c", "name": "m"})
        documents.insert("projects", {"id": "3", "company": "d", "name": "n"})
        with pytest.raises(Duplicate):
            documents.insert("projects", {"id": "4", "company": "c", "name": "n"})
        with pytest.raises(Duplicate):
            documents.update("projects", "2", setting("name", "n"))
        assert documents.get("projects", "2") == {"id": "2", "company": "c", "name": "m"}
        assert documents.count("projects") == 3

    def test_a_group_with_a_value_missing_is_not_unique(self, documents: Documents) -> None:
        documents.insert("projects", {"id": "1", "company": "c"})
        documents.insert("projects", {"id": "2", "company": "c"})
        documents.insert("projects", {"id": "3", "company": "c", "name": None})

    def test_a_document_given_is_copied(self, documents: Documents) -> None:
        document: Document = {"id": "1", "a": {"b": 1}}
        documents.insert("tasks", document)
        document["a"]["b"] = 2
        assert documents.get("tasks", "1") == {"id": "1", "a": {"b": 1}}

    def test_documents_returned_are_copies(self, documents: Documents) -> None:
        documents.insert("tasks", {"id": "1", "a": {"b": 1}})
        for document in (documents.get("tasks", "1"), documents.find("tasks")[0], documents.update("tasks", "1", keep)):
            assert document is not None
            document["a"]["b"] = 2
        assert documents.get("tasks", "1") == {"id": "1", "a": {"b": 1}}

    # Filters

    @pytest.mark.parametrize(
        ("where", "expected"), FILTERS, ids=[f"{n}-{type(f).__name__}" for n, (f, _) in enumerate(FILTERS)]
    )
    @pytest.mark.parametrize(
        "path", [VALUE, ("name",), ("a.b", "ключ"), ODD, ("",)], ids=["plain", "column", "dots", "odd", "empty"]
    )
    def test_filter(self, documents: Documents, path: Path, where: Filter, expected: Callable[[Any], bool]) -> None:
        put_values(documents, path)
        wanted = [number for number, value in enumerate(VALUES) if expected(value)]
        assert found(documents, moved(where, path)) == wanted
        assert documents.count("tasks", moved(where, path)) == len(wanted)
        assert found(documents, Not(moved(where, path))) == [n for n in range(len(VALUES)) if n not in wanted]

    @pytest.mark.parametrize("path", [VALUE, ("a", "b"), ODD, ("name",)])
    def test_filters_on_a_missing_value(self, documents: Documents, path: Path) -> None:
        documents.insert("tasks", {"id": "0"})
        for where, expected in FILTERS:
            assert found(documents, moved(where, path)) == ([0] if expected(None) else [])
            assert found(documents, Not(moved(where, path))) == ([] if expected(None) else [0])

    @pytest.mark.parametrize("inside", ["text", 5, None, True, ["v"], [{"v": 1}]], ids=str)
    def test_a_path_enters_objects_only(self, documents: Documents, inside: Any) -> None:
        documents.insert("tasks", {"id": "0", "a": inside})
        for last in ("v", "0", "[0]", "#", "", '"'):
            assert found(documents, Exists(("a", last))) == []

    def test_keys_are_matched_whole(self, documents: Documents) -> None:
        keys = [
            "a",
            "a.b",
            "a[0]",
            "a.",
            "$",
            "*",
            "a'b",
            "A",
            "ä",
            "a/b",
            "a b",
            "#",
            "a\\b",
            'a"b',
            "a\nb",
            "\\u0061",
            "\x7f",
        ]
        for number, key in enumerate(keys):
            documents.insert("tasks", {"id": str(number), "h": {key: {"v": number}}})
        for number, key in enumerate(keys):
            assert found(documents, Eq(("h", key, "v"), number)) == [number]
            assert found(documents, Exists(("h", key))) == [number]

    def test_the_id_is_a_value_too(self, documents: Documents) -> None:
        for name in ("1", "2", "a'b"):
            documents.insert("tasks", {"id": name})
        assert [d["id"] for d in documents.find("tasks", In(("id",), ("a'b", "1", None)))] == ["1", "a'b"]
        assert documents.count("tasks", Eq(("id",), 1)) == 0
        assert documents.count("tasks", Regex(("id",), "^[0-9]")) == 2
        assert documents.count("tasks", Not(Exists(("id",)))) == 0

    def test_and_or_not(self, documents: Documents) -> None:
        put_values(documents, VALUE)
        one, two, strings = Eq(VALUE, "1"), Eq(VALUE, "0"), Regex(VALUE, "")
        assert found(documents, And((strings, one))) == found(documents, one)
        assert found(documents, And((one, two))) == []
        assert found(documents, Or((one, two))) == [VALUES.index("0"), VALUES.index("1")]
        assert found(documents, Or()) == []
        assert found(documents, And()) == found(documents, Not(Or())) == list(range(len(VALUES)))
        assert found(documents, Not(Not(one))) == found(documents, one)

    @pytest.mark.parametrize("kind", [And, Or])
    def test_a_thousand_parts(self, documents: Documents, kind: type[And | Or]) -> None:
        documents.insert("tasks", {"id": "0", "x": 7})
        parts = tuple(
            Not(Eq(VALUE, number)) if kind is And else Eq(VALUE, number)
            for number in range(-2000, 8 - 1 * (kind is And))
        )
        assert found(documents, kind(parts)) == [0]

    @pytest.mark.parametrize("path", [LIST, ("a", "b"), (*ODD[:2],)], ids=["column", "plain", "odd"])
    def test_lists_hold(self, documents: Documents, path: Path) -> None:
        lists: list[Any] = [
            ["a", "b"],
            [],
            [["a"]],
            {"a": "a"},
            "a",
            ["é"],
            [1, True],
            [2.0, None],
            ['"', "a,b"],
            '["a"]',
            None,
        ]
        put_values(documents, path, lists)
        cases: list[tuple[Scalar, list[int]]] = [
            ("a", [0]),
            ("é", [5]),
            (1, [6]),
            (True, [6]),
            (2, [7]),
            (None, [7]),
            ('"', [8]),
        ]
        for value, wanted in cases:
            assert found(documents, Has(path, value)) == wanted
        assert found(documents, Eq(path, "a")) == [4]
        assert found(documents, Eq(path, None)) == [10]

    @pytest.mark.parametrize("key", ["k", "a.b", 'q"'])
    def test_lists_of_objects_hold(self, documents: Documents, key: str) -> None:
        lists: list[Any] = [
            [{key: "a"}, {key: 1}],
            [{key: "b"}],
            ["a"],
            [{}],
            [{key: None}],
            [[key, "a"]],
            {key: "a"},
            [{key: ["a"]}],
        ]
        put_values(documents, LIST, lists)
        cases: list[tuple[Scalar, list[int]]] = [("a", [0]), (1, [0]), (True, []), ("b", [1]), (None, [3, 4])]
        for value, wanted in cases:
            assert found(documents, Has(LIST, value, key)) == wanted

    def test_one_of_very_many(self, documents: Documents) -> None:
        put_values(documents, VALUE)
        wanted = ["0", "1", "ü", "😀", "a\nb"]
        many = (*map(str, range(40_000)), *wanted)
        assert found(documents, In(VALUE, many)) == [VALUES.index(value) for value in wanted]

    @pytest.mark.parametrize("pattern", ["(", "[a", "*", "(?P<n", "a{1001}"])
    def test_a_bad_pattern_is_named(self, documents: Documents, pattern: str) -> None:
        where = Not(Or((And((Regex(VALUE, pattern),)), Exists(VALUE))))
        calls: list[Callable[[], object]] = [
            lambda: documents.find("tasks", where),
            lambda: documents.count("tasks", where),
            lambda: documents.distinct("tasks", VALUE, where),
            lambda: documents.tally("tasks", [VALUE], where),
            lambda: documents.entries("tasks", VALUE, where),
            lambda: documents.update_many("tasks", where, keep),
            lambda: documents.delete("tasks", where),
        ]
        for call in calls:
            with pytest.raises(InvalidRegex):
                call()

    def test_a_pattern_that_takes_too_long_is_named(
        self, documents: Documents, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        documents.insert("tasks", {"id": "0", "x": "a name"})
        where = Regex(VALUE, "n[a-z]+e$")
        calls: list[Callable[[], int]] = [
            lambda: len(documents.find("tasks", where)),
            lambda: documents.count("tasks", where),
            lambda: documents.update_many("tasks", where, keep),
            lambda: documents.delete("tasks", where),
        ]
        with monkeypatch.context() as patched:
            patched.setattr("trainshed.ports.patterns.SECONDS", 0.0)
            for call in calls:
                with pytest.raises(InvalidRegex):
                    call()
        assert [call() for call in calls] == [1, 1, 1, 1]

    @pytest.mark.parametrize("text", ["'; DROP TABLE tasks; --", '") OR 1=1 --', "?", "%s", "{}", "\x00"])
    def test_no_text_is_a_statement(self, documents: Documents, text: str) -> None:
        documents.insert("tasks", {"id": "0", "x": 1})
        for path in ((text,), ("x", text), (text, "x")):
            for where in (
                Eq(path, text),
                Regex(path, "x"),
                Has(path, text, text),
                Range(path, text, text),
                In(path, (text,)),
            ):
                assert found(documents, where) == []
            assert documents.find("tasks", sort=[Sort(path)]) == [{"id": "0", "x": 1}]
            assert documents.distinct("tasks", path) == []

    # Order and pages

    @pytest.mark.parametrize("path", [VALUE, ("name",), ODD], ids=["plain", "column", "odd"])
    def test_order(self, documents: Documents, path: Path) -> None:
        ascending = [-7, 0, 1, 2.5, 10, "", "0", "B", "a", "ü", "\uffff", "😀", False, True]
        put_values(documents, path, [*reversed(ascending), None, [], {}, [1]])
        values = list(reversed(range(len(ascending))))
        nothing = [14, 15, 16, 17]
        assert found(documents, And(), Sort(path)) == values + nothing
        assert found(documents, And(), Sort(path, descending=True)) == values[::-1] + nothing

    @pytest.mark.parametrize("descending", [False, True])
    def test_equal_values_go_by_id(self, documents: Documents, descending: bool) -> None:
        for number in (3, 1, 2, 0):
            documents.insert("tasks", {"id": str(number), "x": 1.0 if number % 2 else 1})
        assert found(documents, And(), Sort(VALUE, descending=descending)) == [0, 1, 2, 3]

    def test_several_sorts(self, documents: Documents) -> None:
        for number, (a, b) in enumerate([(1, 1), (2, 1), (1, 2), (2, 2), (1, None)]):
            documents.insert("tasks", {"id": str(number), "a": a, "b": b})
        assert found(documents, And(), Sort(("a",), descending=True), Sort(("b",))) == [1, 3, 0, 2, 4]
        assert found(documents, And(), Sort(("b",), descending=True), Sort(("id",), descending=True)) == [3, 2, 1, 0, 4]

    def test_natural_order(self, documents: Documents) -> None:
        ascending = [
            3,
            "1",
            "2",
            "11",
            "100000000000000000000",
            "a",
            "a1",
            "a1.9",
            "a1.10",
            "a2",
            "a11b",
            "ab",
            "b0",
            True,
        ]
        put_values(documents, VALUE, [*reversed(ascending), None])
        wanted = list(reversed(range(len(ascending))))
        nothing = [len(ascending)]
        assert found(documents, And(), Sort(VALUE, natural=True)) == wanted + nothing
        assert found(documents, And(), Sort(VALUE, natural=True, descending=True)) == wanted[::-1] + nothing

    def test_leading_zeros_do_not_count(self, documents: Documents) -> None:
        put_values(documents, VALUE, ["a02", "a2", "a002", "a1"])
        assert found(documents, And(), Sort(VALUE, natural=True)) == [3, 0, 1, 2]

    def test_pages(self, documents: Documents) -> None:
        for number in range(10):
            documents.insert("tasks", {"id": str(number), "x": -number})
        everything = [document["id"] for document in documents.find("tasks", sort=[Sort(VALUE)])]
        for page in (Page(), Page(3), Page(0, 4), Page(8, 4), Page(10, 4), Page(99), Page(0, 0)):
            end = None if page.limit is None else page.offset + page.limit
            got = [document["id"] for document in documents.find("tasks", sort=[Sort(VALUE)], page=page)]
            assert got == everything[page.offset : end]

    def test_distinct(self, documents: Documents) -> None:
        for path in (VALUE, LIST, ODD[:2]):
            documents.delete("tasks", And())
            put_values(
                documents,
                path,
                ["b", 2, "a", True, 2.0, None, ["a", "c", 1, ["d"], {"e": 1}, None], [], {}, {"f": "g"}],
            )
            values = documents.distinct("tasks", path)
            assert values == [1, 2, "a", "b", "c", True]
            assert values[-1] is True
            assert documents.distinct("tasks", path, Eq(path, "b")) == ["b"]

    @pytest.mark.parametrize("path", [VALUE, ("name",), ODD], ids=["plain", "column", "odd"])
    def test_tally(self, documents: Documents, path: Path) -> None:
        put_values(documents, path, ["b", 2, "b", True, 2.0, None, [1], {"k": 1}, 2**63, "2x", False])
        groups = documents.tally("tasks", [path], total=path)
        counted = {(type(g.values[0]) is bool, g.values[0]): (g.count, g.total) for g in groups}
        assert counted == {
            (False, "b"): (2, 0.0),
            (False, 2): (2, 4.0),
            (True, True): (1, 0.0),
            (False, None): (3, 0.0),
            (False, float(2**63)): (1, float(2**63)),
            (False, "2x"): (1, 0.0),
            (True, False): (1, 0.0),
        }

    def test_tally_by_several_and_by_none(self, documents: Documents) -> None:
        for number, (a, b, n) in enumerate([(1, "x", 5), (1, "x", 1.5), (1, "y", "7"), (2, "x", None)]):
            documents.insert("tasks", {"id": str(number), "a": a, "b": b, "n": n})
        groups = {g.values: (g.count, g.total) for g in documents.tally("tasks", [("a",), ("b",)], total=("n",))}
        assert groups == {(1, "x"): (2, 6.5), (1, "y"): (1, 0.0), (2, "x"): (1, 0.0)}
        assert documents.tally("tasks", [], Eq(("a",), 1), total=("n",)) == [Tally((), 3, 6.5)]
        assert documents.tally("tasks", [], Eq(("a",), 3)) == []

    @pytest.mark.parametrize("path", [("h",), ODD[:2]], ids=["plain", "odd"])
    def test_entries(self, documents: Documents, path: Path) -> None:
        values = [{"A": {"x": {"n": 1}, "y": "text"}, "B": {}}, {"A": {"x": {"n": 1.0}}, 'q"\\\n.': {"é": {"n": "1"}}}]
        put_values(documents, path, [*values, None, [], {"C": [1], "D": None}, "text"])
        assert set(documents.entries("tasks", path)) == {("A",), ("B",), ("C",), ("D",), ('q"\\\n.',)}
        assert set(documents.entries("tasks", path, depth=2)) == {("A", "x"), ("A", "y"), ('q"\\\n.', "é")}
        named = documents.entries("tasks", path, depth=2, fields=["n", "m"])
        assert set(named) == {("A", "x", 1, None), ("A", "y", None, None), ('q"\\\n.', "é", "1", None)}
        assert documents.entries("tasks", path, Eq(("id",), "none")) == []

    # Changes

    def test_update_returns_what_is_stored(self, documents: Documents) -> None:
        documents.insert("tasks", {"id": "1", "x": 1})
        assert documents.update("tasks", "1", setting("x", (1, 2))) == {"id": "1", "x": [1, 2]}
        assert documents.get("tasks", "1") == {"id": "1", "x": [1, 2]}

    def test_filters_see_the_change(self, documents: Documents) -> None:
        documents.insert("tasks", {"id": "1", "name": "before", "tags": ["before"]})
        documents.update("tasks", "1", lambda document: document.update(name="after", tags=["after"]))
        assert documents.count("tasks", Or((Eq(("name",), "before"), Has(LIST, "before")))) == 0
        assert documents.count("tasks", And((Eq(("name",), "after"), Has(LIST, "after")))) == 1

    def test_update_of_nothing(self, documents: Documents) -> None:
        with pytest.raises(NotFound):
            documents.update("tasks", "1", keep)

    def test_a_change_that_raises_changes_nothing(self, documents: Documents) -> None:
        documents.insert("tasks", {"id": "1", "x": {"y": 1}})

        def change(document: Document) -> None:
            document["x"]["y"] = 2
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            documents.update("tasks", "1", change)
        with pytest.raises(ZeroDivisionError):
            documents.update_many("tasks", And(), change)
        assert documents.get("tasks", "1") == {"id": "1", "x": {"y": 1}}

    def test_the_id_stays(self, documents: Documents) -> None:
        documents.insert("tasks", {"id": "1"})
        with pytest.raises(ValueError, match="id"):
            documents.update("tasks", "1", setting("id", "2"))
        with pytest.raises(ValueError, match="id"):
            documents.update_many("tasks", And(), setting("id", "2"))
        assert documents.find("tasks") == [{"id": "1"}]

    def test_update_many(self, documents: Documents) -> None:
        put_values(documents, VALUE)
        assert documents.update_many("tasks", Regex(VALUE, "(?i)^run"), setting("x", "changed")) == 3
        assert documents.count("tasks", Eq(VALUE, "changed")) == 3
        assert documents.count("tasks") == len(VALUES)
        assert documents.update_many("tasks", Or(), setting("x", "changed")) == 0

    def test_update_many_is_all_or_nothing(self, documents: Documents) -> None:
        for number in range(3):
            documents.insert("projects", {"id": str(number), "company": "c", "name": str(number)})
        with pytest.raises(Duplicate):
            documents.update_many("projects", And(), setting("name", "same"))
        assert documents.distinct("projects", ("name",)) == ["0", "1", "2"]

    def test_delete(self, documents: Documents) -> None:
        put_values(documents, VALUE)
        assert documents.delete("tasks", Exists(VALUE)) == len(VALUES) - 1
        assert [document["x"] for document in documents.find("tasks")] == [None]
        assert documents.delete("tasks", Exists(VALUE)) == 0

    def test_what_was_deleted_may_return(self, documents: Documents) -> None:
        for _ in range(2):
            documents.insert("projects", {"id": "1", "company": "c", "name": "n"})
            assert documents.delete("projects", And()) == 1

    # Many at once

    def test_no_increment_is_lost(self, documents: Documents) -> None:
        documents.insert("tasks", {"id": "1", "x": 0})
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: documents.update("tasks", "1", increment), range(200)))
        assert documents.get("tasks", "1") == {"id": "1", "x": 200}

    def test_of_many_one_inserts(self, documents: Documents) -> None:
        def insert(number: int) -> bool:
            try:
                documents.insert("projects", {"id": str(number), "company": "c", "name": "n"})
            except Duplicate:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(insert, range(40))) == 1

    def test_a_reader_sees_a_whole_change(self, documents: Documents) -> None:
        for number in range(20):
            documents.insert("tasks", {"id": str(number), "x": 0})
        with ThreadPoolExecutor(4) as pool:
            writers = [pool.submit(documents.update_many, "tasks", And(), increment) for _ in range(20)]
            readers = [pool.submit(documents.distinct, "tasks", VALUE) for _ in range(40)]
            assert all(len(reader.result()) == 1 for reader in readers)
            assert [writer.result() for writer in writers] == [20] * 20


def put_values(documents: Documents, path: Path, values: list[Any] = VALUES) -> None:
    """One document per value, with its position as id: of two digits, so that ids sort as numbers."""
    for number, value in enumerate(values):
        for key in reversed(path):
            value = {key: value}
        documents.insert("tasks", {"id": f"{number:02}", **value})


def found(documents: Documents, where: Filter, *sort: Sort) -> list[int]:
    """The ids of what find() gives, as numbers."""
    return [int(document["id"]) for document in documents.find("tasks", where, sort=sort)]


def moved(where: Any, path: Path) -> Filter:
    """The same filter on another path."""
    moved_filter: Filter = replace(where, path=path)
    return moved_filter


def setting(key: str, value: Any) -> Callable[[Document], None]:
    return lambda document: document.update({key: value})


def increment(document: Document) -> None:
    document["x"] += 1


def keep(document: Document) -> None:
    """Change nothing."""
