from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from apps.categories import tree_file
from apps.categories.errors import InvalidCategoryFile
from tests.factories.categories import (
    count_nodes,
    load_sample,
    make_full_size_tree,
    make_node,
    make_tree,
)


def problems_of(nodes: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidCategoryFile) as caught:
        tree_file.build_rows(nodes)
    return caught.value.problems


def parse_problem(content: bytes) -> str:
    with pytest.raises(InvalidCategoryFile) as caught:
        tree_file.parse_json(content)
    (problem,) = caught.value.problems
    return problem


def test_every_node_becomes_a_row_parents_first_in_file_order() -> None:
    tree = make_full_size_tree()
    rows = tree_file.build_rows(tree)
    assert len(rows) == count_nodes(tree) == 671
    level1 = [row for row in rows if row.level == 1]
    assert [row.cat_id for row in level1] == [str(node["catId"]) for node in tree]
    assert [row.position for row in level1] == list(range(30))
    first_children = [row for row in rows if row.parent_id == str(tree[0]["catId"])]
    assert [row.data for row in first_children] == tree[0]["children"]
    assert {row.level for row in first_children} == {2}


def test_the_sample_has_three_branches_of_four() -> None:
    assert [len(node["children"]) for node in load_sample()] == [4, 4, 4]
    assert len(tree_file.build_rows(load_sample())) == 15


def test_a_row_keeps_the_node_untouched() -> None:
    node = make_node(5, unknown=None, flag=True, big=2**63 - 1, text="two\nlines 🧭", catNameCn="  名 ")
    (row,) = tree_file.build_rows([{**node, "children": []}])
    assert json.dumps(row.data) == json.dumps(node)
    assert (row.name_cn, row.name_ru) == ("  名 ", "Категория 5")


def test_the_hash_sees_values_types_order_and_place() -> None:
    node = make_node(7, monthSales=1.0)
    variants = [
        [node],
        [{**node, "monthSales": 1}],
        [{**node, "monthSales": None}],
        [dict(reversed(node.items()))],
        [make_node(8), node],
        [{**make_node(8), "children": [{**node, "catId1": None}]}],
        [{**make_node(8), "children": [node | {"catId1": 8}]}],
    ]
    hashes = {tree_file.build_rows(nodes)[-1].data_hash for nodes in variants}
    assert len(hashes) == len(variants)
    assert tree_file.build_rows([dict(node)])[0].data_hash in hashes


@pytest.mark.parametrize("children", [None, []])
def test_no_children_can_be_said_in_several_ways(children: Any) -> None:
    leaf = make_node(2, level1_id=1)
    assert len(tree_file.build_rows([make_node(1)])) == 1
    assert len(tree_file.build_rows([{**make_node(1), "children": children}])) == 1
    assert len(tree_file.build_rows([{**make_node(1), "children": [{**leaf, "children": children}]}])) == 2


def test_level_2_names_may_be_empty_as_in_the_source() -> None:
    child = make_node(2, level1_id=1, catName="", catNameCn="")
    rows = tree_file.build_rows([{**make_node(1), "children": [child]}])
    assert rows[1].name_cn == rows[1].name_ru == ""


@pytest.mark.parametrize("nodes", [None, {}, "[]", 3, True, {"0": make_node(1)}])
def test_the_top_must_be_a_list(nodes: Any) -> None:
    (problem,) = problems_of(nodes)
    assert problem.startswith("the file: must be a list of categories, not ")


def test_an_empty_list_is_refused() -> None:
    assert problems_of([]) == ("the file: has no categories",)


@pytest.mark.parametrize("node", [None, 1, "x", [], True, 1.5])
def test_a_node_must_be_an_object(node: Any) -> None:
    tree = make_tree(level1_count=3, child_count=9)
    tree[2]["children"][1] = node
    (problem,) = problems_of([*tree, node])[:1]
    assert problem.startswith("[2].children[1]: must be an object, not ")
    assert problems_of([*tree, node])[1].startswith("[3]: must be an object, not ")


@pytest.mark.parametrize(
    "cat_id",
    [None, True, False, 0, -1, "1", "", 1.0, 1.5, [], {}, 2**53, 10**30, float("nan"), "１"],
)
def test_a_bad_id_is_named_with_its_place(cat_id: Any) -> None:
    tree = make_tree(level1_count=1, child_count=3)
    tree[0]["children"][2]["catId"] = cat_id
    (problem,) = problems_of(tree)
    assert problem.startswith("[0].children[2].catId: must be ")


def test_a_missing_id_and_missing_names_are_all_named() -> None:
    assert problems_of([{}]) == (
        "[0].catId: is missing",
        "[0].catNameCn: is missing",
        "[0].catName: is missing",
    )


def test_an_id_may_occur_once_in_the_whole_file() -> None:
    tree = make_tree(level1_count=2, child_count=8)
    first = tree[0]["children"][0]["catId"]
    tree[1]["children"][1].update(catId=first)
    tree.append(make_node(first))
    assert problems_of(tree) == (
        f"[1].children[1].catId: {first} is already the id of [0].children[0]",
        f"[2].catId: {first} is already the id of [0].children[0]",
    )


@pytest.mark.parametrize("claimed", [2, "1000", 1000.0, True, 0, [], "x" * 1000])
def test_a_child_must_not_name_another_parent(claimed: Any) -> None:
    tree = make_tree(level1_count=1, child_count=2)
    tree[0]["children"][1]["catId1"] = claimed
    problem = problems_of(tree)[0]
    assert problem.startswith("[0].children[1].catId1: must be the parent's id (1000), not ")
    assert len(problem) < 150


def test_a_child_may_leave_its_parent_unnamed() -> None:
    tree = make_tree(level1_count=1, child_count=2)
    tree[0]["children"][0]["catId1"] = None
    del tree[0]["children"][1]["catId1"]
    assert len(tree_file.build_rows(tree)) == 3


def test_a_bad_parent_id_is_one_problem_not_one_per_child() -> None:
    tree = make_tree(level1_count=1, child_count=5)
    tree[0]["catId"] = "1000"
    assert problems_of(tree) == ("[0].catId: must be a whole number, not a string",)


def test_a_third_level_is_named_with_its_place() -> None:
    tree = make_tree(level1_count=1, child_count=3)
    tree[0]["children"][2]["children"] = [make_node(9)]
    assert problems_of(tree) == ("[0].children[2].children: is too deep: the tree has two levels",)


@pytest.mark.parametrize("children", [{}, {"a": 1}, "x", "", 0, 1, False])
def test_children_must_be_a_list(children: Any) -> None:
    (problem,) = problems_of([{**make_node(1), "children": children}])
    assert problem.startswith("[0].children: must be a list, not ")


@pytest.mark.parametrize("name", ["catNameCn", "catName"])
@pytest.mark.parametrize("value", [None, 1, "", "   ", "\t\n", "x" * 501, ["x"], {}])
def test_level_1_names_must_be_texts_with_something_in_them(name: str, value: Any) -> None:
    (problem,) = problems_of([make_node(1, **{name: value})])
    assert problem.startswith(f"[0].{name}: ")


@pytest.mark.parametrize(
    "value", [[], {}, [1], float("nan"), float("inf"), float("-inf"), 2**63, -(2**63) - 1, "\ud800", b"x"]
)
def test_a_value_that_cannot_be_stored_and_served_is_named(value: Any) -> None:
    tree = make_tree(level1_count=1, child_count=2)
    tree[0]["children"][1]["monthGmv"] = value
    (problem,) = problems_of(tree)
    assert problem.startswith("[0].children[1].monthGmv: ")


@pytest.mark.parametrize("name", ["catNameCn", "catName", "note"])
@pytest.mark.parametrize(
    ("character", "shown"),
    [
        ("\0", "U+0000"),
        ("\x1b", "U+001B"),
        ("\x7f", "U+007F"),
        ("\x9b", "U+009B"),
        ("\u00ad", "U+00AD"),
        ("\u200b", "U+200B"),
        ("\u202e", "U+202E"),
        ("\u2066", "U+2066"),
        ("\u2028", "U+2028"),
        ("\ufeff", "U+FEFF"),
        ("\ud800", "U+D800"),
    ],
)
def test_a_character_that_could_hide_or_reverse_text_is_named(name: str, character: str, shown: str) -> None:
    tree = make_tree(level1_count=1, child_count=2)
    tree[0]["children"][1][name] = f"家{character}居"
    problem = f"[0].children[1].{name}: has the character {shown} at position 2"
    assert problems_of(tree) == (problem,)


@pytest.mark.parametrize("character", "\n\r\t")
def test_a_name_has_one_line_and_another_text_may_have_several(character: str) -> None:
    assert len(problems_of([make_node(1, catName=f"a{character}b")])) == 1
    assert len(tree_file.build_rows([make_node(1, note=f"a{character}b")])) == 1


@pytest.mark.parametrize(
    "name", ["", "$set", "a.b", "a\0b", "a\x1bb", "a\u202eb", "\ud800", "$" + "x" * 10_000]
)
def test_a_field_name_that_cannot_be_stored_is_named_shortly(name: str) -> None:
    (problem,) = problems_of([make_node(1, **{name: 1})])
    assert problem.endswith(": is not a usable field name")
    assert len(problem) < 150
    problem.encode()


def test_a_node_of_enormous_size_is_refused() -> None:
    assert problems_of([make_node(1, note="x" * 70_000)]) == ("[0]: is larger than 64 KB",)
    assert problems_of([make_node(1, **{f"f{n}": n for n in range(10_000)})]) == (
        "[0]: is larger than 64 KB",
    )


def test_the_first_twenty_problems_are_kept_and_all_are_counted() -> None:
    with pytest.raises(InvalidCategoryFile) as caught:
        tree_file.build_rows([{**make_node(n), "catId": -n} for n in range(1, 101)])
    assert len(caught.value.problems) == 20
    assert caught.value.problems[19].startswith("[19].catId: ")
    assert caught.value.problem_count == 100


@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf", b" \r\n\t"])
def test_utf_8_is_read_with_and_without_a_byte_order_mark(prefix: bytes) -> None:
    tree = load_sample()
    assert tree_file.parse_json(prefix + json.dumps(tree, ensure_ascii=False).encode()) == tree


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "line 1, column 1: is not JSON"),
        (b"[{}", "line 1, column 4: is not JSON"),
        (b"[{}]\n[]", "line 2, column 1: is not JSON"),
        (b"<html>", "line 1, column 1: is not JSON"),
        (b'[{"a": "\xd0"}]', "byte 8: is not UTF-8"),
        ("[]".encode("utf-16"), "byte 0: is not UTF-8"),
        (b"[" * 300_000, "the file is nested too deeply"),
        (b'{"a":' * 300_000, "the file is nested too deeply"),
        (b"[" + b"9" * 100_000 + b"]", "the file is not JSON"),
        (b'[{"catId": 1, "catId": 2}]', "the file is not JSON (the field 'catId' appears twice"),
    ],
)
def test_what_is_not_json_is_told_with_its_place(content: bytes, problem: str) -> None:
    assert parse_problem(content).startswith(problem)


def test_a_file_over_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tree_file.MAX_FILE_BYTES == 50 * 1024 * 1024
    monkeypatch.setattr(tree_file, "MAX_FILE_BYTES", 1024 * 1024)
    path = tmp_path / "tree.json"
    path.write_bytes(b"[]".ljust(1024 * 1024))
    assert tree_file.read_tree(path) == []
    with pytest.raises(InvalidCategoryFile) as caught:
        tree_file.read_stream(io.BytesIO(b" " * (1024 * 1024 + 1)), name="standard input")
    assert caught.value.problems == ("standard input: is larger than 1 MB",)


def test_a_file_that_cannot_be_read_is_told_with_its_path(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(InvalidCategoryFile) as caught:
            tree_file.read_tree(path)
        assert caught.value.problems[0].startswith(f"{path}: cannot be read (")
