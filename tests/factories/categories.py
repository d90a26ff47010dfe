"""Category trees in the import format, of any size."""

from __future__ import annotations

import json
from typing import Any

from apps.categories.services import import_categories
from tests.programs import ROOT

SAMPLE_PATH = ROOT / "apps/categories/sample/categories.json"

Node = dict[str, Any]


def make_node(cat_id: int, *, level1_id: int | None = None, **fields: Any) -> Node:
    """One node with every field of the export; a level-1 node when ``level1_id`` is None."""
    is_level1 = level1_id is None
    node: Node = {
        "updateTime": "2025-06-30",
        "catNameCn": f"类目{cat_id}",
        "catName": f"Категория {cat_id}",
        "catId": cat_id,
        "catId1": cat_id if is_level1 else level1_id,
        "catId2": 0 if is_level1 else cat_id,
        "catId3": 0,
        "typeId": 0,
        "catTag": 2,
        "itemCount": cat_id * 7,
        "itemCountRate": 14.0,
        "monthSales": 87261639.0,
        "monthSalesRatio": 15.68,
        "monthSalesDynamics": -14.89,
        "monthGmv": 72224350000.0,
        "monthGmvRmb": 6579638285.0,
        "monthGmvRatio": 10.11,
        "monthGmvDynamics": -11.52,
        "brandGmv": 54377296000.0,
        "brandGmvRmb": 4953771665.6,
        "brandGmvRate": 75.28,
        "brandSales": 53529575.0,
        "brandSalesRate": 61.34,
        "top10Gmv": 45594504.0,
        "top10GmvRmb": 4153659.31,
        "top10GmvRate": 0.06,
        "headAvgPrivce": 86.28,
        "headAvgPrivceRmb": 7.86,
        "skuNum": None,
        "saleSkuNum": 2659030,
        "saleRatio": None,
    }
    return {**node, **fields}


def make_tree(*, level1_count: int = 2, child_count: int = 4) -> list[Node]:
    """A tree of ``level1_count`` nodes with ``child_count`` children in all, dealt out in turn."""
    tree = [{**make_node(1000 * number), "children": []} for number in range(1, level1_count + 1)]
    for index in range(child_count):
        parent = tree[index % level1_count]
        child_id = parent["catId"] + len(parent["children"]) + 1
        parent["children"].append(make_node(child_id, level1_id=parent["catId"]))
    return tree


def make_full_size_tree() -> list[Node]:
    """A tree as large as the real one: 30 level-1 nodes and 641 children."""
    return make_tree(level1_count=30, child_count=641)


def count_nodes(tree: list[Node]) -> int:
    """The number of nodes on both levels."""
    return len(tree) + sum(len(node["children"]) for node in tree)


def load_sample() -> list[Node]:
    """The sample tree that the project ships."""
    sample: list[Node] = json.loads(SAMPLE_PATH.read_bytes())
    return sample


def store_tree(tree: list[Node] | None = None) -> list[Node]:
    """Import a tree (the sample unless given) and return it."""
    tree = load_sample() if tree is None else tree
    import_categories(nodes=tree)
    return tree
