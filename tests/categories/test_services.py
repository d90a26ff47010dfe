from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import redis
from pymongo.errors import AutoReconnect
from redis.lock import Lock

from apps.categories import bulk, selectors, services
from apps.categories.errors import InvalidCategoryFile
from apps.categories.models import Category
from apps.categories.services import ImportResult, import_categories
from apps.categories.tree_file import read_tree
from apps.core.errors import Conflict, DependencyUnavailable
from apps.core.storage.locks import lease_of
from tests.factories.categories import (
    SAMPLE_PATH,
    count_nodes,
    load_sample,
    make_full_size_tree,
    make_node,
    make_tree,
    store_tree,
)

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


def stored_rows() -> list[dict[str, Any]]:
    return list(Category.objects.order_by("cat_id").values())


def as_text(tree: Any) -> str:
    """JSON text: unlike ``==`` it tells 1 from 1.0 from true, and sees the order of the fields."""
    return json.dumps(tree)


@pytest.mark.parametrize("tree", [load_sample(), make_full_size_tree()], ids=["sample", "671 nodes"])
def test_an_import_stores_the_tree_exactly_as_it_was(tree: list[Any]) -> None:
    result = import_categories(nodes=tree)
    count = count_nodes(tree)
    assert result == ImportResult(added=count, changed=0, removed=0, unchanged=0, total=count)
    assert as_text(selectors.build_tree()) == as_text(tree)
    assert Category.objects.count() == count


def test_a_file_is_imported_by_its_path() -> None:
    assert import_categories(nodes=read_tree(SAMPLE_PATH)).added == 15
    assert as_text(selectors.build_tree()) == as_text(load_sample())


def test_a_row_has_its_place_and_names() -> None:
    tree = store_tree()
    child = Category.objects.get(cat_id=str(tree[1]["children"][2]["catId"]))
    assert (child.parent_id, child.level, child.position) == (str(tree[1]["catId"]), 2, 2)
    assert (child.name_cn, child.name_ru) == (
        "户外与旅行>登山背包",
        "Отдых и путешествия>Туристические рюкзаки",
    )
    assert (Category.objects.get(cat_id=str(tree[1]["catId"])).parent_id) == ""


def test_every_change_is_counted_and_only_that_is_written() -> None:
    before = store_tree()
    first_write = {row["cat_id"]: row["updated_at"] for row in stored_rows()}
    after = copy.deepcopy(before)
    after[0]["children"][0]["monthGmv"] += 1
    after[0]["skuNum"] = None
    removed = after[2]["children"].pop()
    after[1]["children"].append(make_node(777, level1_id=after[1]["catId"]))

    assert import_categories(nodes=after) == ImportResult(
        added=1, changed=2, removed=1, unchanged=12, total=15
    )
    assert as_text(selectors.build_tree()) == as_text(after)
    assert not selectors.category_exists(str(removed["catId"]))
    rewritten = {
        row["cat_id"] for row in stored_rows() if row["updated_at"] != first_write.get(row["cat_id"])
    }
    assert rewritten == {str(after[0]["children"][0]["catId"]), str(after[0]["catId"]), "777"}


def test_an_import_can_be_repeated() -> None:
    tree = store_tree()
    rows = stored_rows()
    assert import_categories(nodes=tree) == ImportResult(
        added=0, changed=0, removed=0, unchanged=15, total=15
    )
    assert stored_rows() == rows


def test_another_order_and_another_parent_are_changes() -> None:
    tree = store_tree(make_tree(level1_count=2, child_count=4))
    tree.reverse()
    moved = tree[0]["children"].pop()
    tree[1]["children"].append({**moved, "catId1": tree[1]["catId"]})
    result = import_categories(nodes=tree)
    assert (result.added, result.removed, result.changed) == (0, 0, 3)
    assert as_text(selectors.build_tree()) == as_text(tree)


def test_a_dry_run_tells_the_same_and_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    store_tree()
    rows = stored_rows()
    other = make_tree(level1_count=3, child_count=5)
    cleared: list[bool] = []
    monkeypatch.setattr(services, "clear_all", lambda: cleared.append(True))
    planned = import_categories(nodes=other, is_dry_run=True)
    assert planned == ImportResult(added=8, changed=0, removed=15, unchanged=0, total=8)
    assert stored_rows() == rows
    assert not cleared
    monkeypatch.undo()
    assert import_categories(nodes=other) == planned


BAD_FILES: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"[{]",
    "HTML": b"<!doctype html><title>502</title>",
    "not UTF-8": '[{"catName": "Дом"}]'.encode("cp1251"),
    "an object": b'{"data": []}',
    "null": b"null",
    "no categories": b"[]",
    "deep": b"[" * 200_000,
    "a field twice": b'[{"catId": 1, "catId": 2, "catName": "a", "catNameCn": "b"}]',
    **{
        name: json.dumps([*make_tree(level1_count=2, child_count=6), last]).encode()
        for name, last in {
            "last node is null": None,
            "id is a text": make_node(5, catId="5"),
            "id is true": make_node(5, catId=True),
            "id twice": make_node(2001),
            "name empty": make_node(5, catName=" "),
            "name missing": {"catId": 5, "catName": "a"},
            "another parent": {**make_node(5), "children": [make_node(6, level1_id=7)]},
            "three levels": {
                **make_node(5),
                "children": [make_node(6, level1_id=5, children=[make_node(7, level1_id=5)])],
            },
            "a nested value": make_node(5, monthGmv={"$gt": 0}),
            "not a number": make_node(5, monthGmv=float("nan")),
            "too large a number": make_node(5, skuNum=2**64),
            "half a character": make_node(5, catTag="\udc00"),
            "a field name of MongoDB": make_node(5, **{"$where": "1"}),
        }.items()
    },
}


@pytest.mark.parametrize("is_dry_run", [False, True], ids=["real", "dry"])
@pytest.mark.parametrize("content", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_changes_nothing(
    content: bytes, is_dry_run: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_tree(make_tree(level1_count=1, child_count=2))
    rows = stored_rows()
    path = tmp_path / "tree.json"
    path.write_bytes(content)
    monkeypatch.setattr(services, "clear_all", lambda: pytest.fail("nothing changed, nothing to clear"))
    with pytest.raises(InvalidCategoryFile) as caught:
        import_categories(nodes=read_tree(path), is_dry_run=is_dry_run)
    assert caught.value.problems
    assert stored_rows() == rows


def test_a_rerun_completes_an_import_that_died_before_its_removals(monkeypatch: pytest.MonkeyPatch) -> None:
    store_tree()
    other = make_tree(level1_count=3, child_count=7)

    def die(_cat_ids: Iterable[str]) -> None:
        raise AutoReconnect("gone")

    monkeypatch.setattr(bulk, "remove_ids", die)
    with pytest.raises(AutoReconnect):
        import_categories(nodes=other)
    assert Category.objects.count() == 25  # upserts come before removals: no reader misses a category
    monkeypatch.undo()
    assert import_categories(nodes=other) == ImportResult(
        added=0, changed=0, removed=15, unchanged=10, total=10
    )
    assert as_text(selectors.build_tree()) == as_text(other)


def test_a_rerun_completes_an_import_that_died_within_its_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    store_tree(make_tree(level1_count=2, child_count=8))
    other = make_tree(level1_count=4, child_count=40)
    write = bulk.upsert_rows

    def write_half(rows: Any, **kwargs: Any) -> None:
        write(rows[::2], **kwargs)
        raise AutoReconnect("gone")

    monkeypatch.setattr(bulk, "upsert_rows", write_half)
    with pytest.raises(AutoReconnect):
        import_categories(nodes=other)
    monkeypatch.undo()
    result = import_categories(nodes=other)
    assert 0 < result.added < 34
    assert as_text(selectors.build_tree()) == as_text(other)


def test_a_rerun_without_a_change_still_tells_the_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = load_sample()

    def die() -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(services, "clear_all", die)
    with pytest.raises(KeyboardInterrupt):
        import_categories(nodes=tree)
    cleared: list[bool] = []
    monkeypatch.setattr(services, "clear_all", lambda: cleared.append(True) or True)
    assert import_categories(nodes=tree).unchanged == 15
    assert cleared == [True]


def test_two_imports_at_once_end_in_one_whole_tree() -> None:
    trees = [make_tree(level1_count=5, child_count=60), make_full_size_tree(), load_sample()]
    barrier = threading.Barrier(len(trees))
    failures: list[BaseException] = []

    def run(tree: list[Any]) -> None:
        try:
            barrier.wait(10)
            import_categories(nodes=tree)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(tree,)) for tree in trees]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    stored = selectors.build_tree()
    assert as_text(stored) in {as_text(tree) for tree in trees}
    assert Category.objects.count() == count_nodes(stored)


def test_an_import_that_waits_too_long_for_another_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    store_tree()
    monkeypatch.setattr(services, "_LEASE_WAIT_SECONDS", 0.05)
    other = lease_of("categories-import", ttl_seconds=30)
    assert other.acquire()
    try:
        with pytest.raises(Conflict):
            import_categories(nodes=make_tree())
    finally:
        other.release()
    assert selectors.build_tree() == load_sample()
    assert import_categories(nodes=make_tree()).added == 6


def test_without_redis_an_import_is_refused_before_it_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    store_tree()

    def refuse(_self: Lock) -> bool:
        raise redis.ConnectionError("refused")

    monkeypatch.setattr(Lock, "acquire", refuse)
    with pytest.raises(DependencyUnavailable):
        import_categories(nodes=make_tree())
    assert selectors.build_tree() == load_sample()


def test_an_import_that_redis_did_not_hear_of_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "clear_all", lambda: False)
    assert import_categories(nodes=load_sample()).are_caches_cleared is False
