"""The figures of every data set, in the shapes that the collection service sends."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from apps.core.periods import period_range
from apps.mengla.simulator.market import (
    Market,
    Segment,
    change_percent,
    generator,
    market_of,
    percent,
    previous_or_same,
    rmb,
    segment_markets,
    segments_of,
)
from apps.mengla.simulator.query import RANKING_ACTIONS, TREND_ACTION, VIEW_ACTION, Query

ECHO_KEY = "_asked"
STAMP_KEY = "_execution"
VIEW_LISTS = (
    "industrySalesRangeDtoList",
    "industryGmvRangeDtoList",
    "industryPriceRangeDtoList",
    "industryBrandRateDtoList",
)
BRANDED_CATEGORIES = 12

_MIN_ROWS, _MAX_ROWS = 20, 50
_ROW_NUMBERS = 5  # random numbers of a row
_RATE_STEPS = 10_000  # rates have two decimals of a percent

# Title of each range, the value of one item in it, and the weight of the range in the number of items.
_SALES_RANGES = (
    ("1-10", 4.0, 52),
    ("11-50", 24.0, 28),
    ("51-100", 71.0, 10),
    ("101-500", 210.0, 8),
    ("501-1000", 690.0, 1.4),
    (">1000", 2100.0, 0.6),
)
_GMV_RANGES = (
    ("0-1000", 300.0, 49),
    ("1000-10000", 4200.0, 28),
    ("10000-50000", 23000.0, 13),
    ("50000-100000", 70000.0, 5),
    ("100000-500000", 210000.0, 4),
    (">500000", 1100000.0, 1),
)
_PRICE_RANGES = (
    ("0-200", 130.0, 17),
    ("200-500", 340.0, 29),
    ("500-1000", 720.0, 24),
    ("1000-2000", 1400.0, 15),
    ("2000-5000", 3100.0, 10),
    (">5000", 8200.0, 5),
)


def result_key(action: str) -> str:
    """Return the key of an action's figures in a result."""
    return action if action == TREND_ACTION else f"{action}List"


def result_of(
    query: Query, *, echo: bool = False, bare_lists: bool = False, execution_id: str = ""
) -> dict[str, Any]:
    """Return the result of one query.

    ``echo`` adds the query's parameters to every row and point, and so does ``execution_id`` with the id.
    ``bare_lists`` leaves out the inner object.
    """
    figures: Any
    marks = ({ECHO_KEY: query.echo()} if echo else {}) | ({STAMP_KEY: execution_id} if execution_id else {})
    if query.action in RANKING_ACTIONS:
        rows = ranking_rows(query)
        _mark(rows, marks)
        figures = {"code": 0, "data": rows if bare_lists else {"list": rows}}
    elif query.action == VIEW_ACTION:
        view = view_lists(query)
        for items in view.values():
            _mark(items, marks)
        figures = {"code": 0, "data": view | marks}
    else:
        points = trend_points(query)
        _mark(points, marks)
        figures = points if bare_lists else {"data": points}
    return {result_key(query.action): figures}


def empty_result(query: Query, kind: str) -> dict[str, Any]:
    """Return a result without figures; ``kind`` is one of the forms the service has for it."""
    key = result_key(query.action)
    match kind:
        case "missing_key":
            return {}
        case "code":
            return {key: {"code": 500, "msg": "查询失败", "data": {"list": []}}}
        case "null":
            return {key: {"code": 0, "data": None}}
    if query.action == TREND_ACTION:
        return {key: {"data": []}}
    if query.action == VIEW_ACTION:
        return {key: {"code": 0, "data": {name: [] for name in VIEW_LISTS}}}
    return {key: {"code": 0, "data": {"list": []}}}


def ranking_rows(query: Query) -> list[dict[str, Any]]:
    """Return the rows of a ranking: all rankings choose from the same segments, each by its own score."""
    period = query.last
    luck = generator("rows", query.cat_id, query.variant, period.granularity, period.key)
    segments = [
        _RankedSegment(*each, luck=tuple(luck.random() for _ in range(_ROW_NUMBERS)))
        for each in zip(
            segments_of(query.cat_id),
            segment_markets(query.cat_id, query.variant, period),
            segment_markets(query.cat_id, query.variant, previous_or_same(period)),
            strict=True,
        )
    ]

    def score(one: _RankedSegment) -> float:
        match query.action:
            case "high":
                return one.now.gmv / one.now.sale_sku_num
            case "hot":
                return float(one.now.sales)
            case _:
                return change_percent(one.now.sales, one.before.sales)

    segments.sort(key=score, reverse=True)
    count = generator("row count", query.action, query.cat_id, query.variant, period.key).randint(
        _MIN_ROWS, _MAX_ROWS
    )
    whole = market_of(query.cat_id, query.variant, period)
    return [_ranking_row(one, whole) for one in segments[:count]]


def view_lists(query: Query) -> dict[str, list[dict[str, Any]]]:
    """Return the four lists of a distribution; in each list of ranges the rates add up to 100 percent."""
    whole = market_of(query.cat_id, query.variant, query.last)
    tables = (_SALES_RANGES, _GMV_RANGES, _PRICE_RANGES)
    lists = {
        name: _range_items(query, name, table, whole)
        for name, table in zip(VIEW_LISTS[:3], tables, strict=True)
    }
    branded = zip(
        segments_of(query.cat_id)[:BRANDED_CATEGORIES],
        segment_markets(query.cat_id, query.variant, query.last),
        strict=False,
    )
    luck = generator("brands", query.cat_id, query.variant, query.last.granularity, query.last.key)
    lists[VIEW_LISTS[3]] = [_brand_item(segment, own, luck) for segment, own in branded]
    return lists


def trend_points(query: Query) -> list[dict[str, Any]]:
    """Return one point for each period of the range; a point depends on its own period only."""
    points = []
    for period in period_range(query.first, query.last):
        market = market_of(query.cat_id, query.variant, period)
        platform = market_of("", "", period)
        points.append(
            {
                "timest": period.dashed,
                "salesSkuCount": market.sale_sku_num,
                "salesSkuRatio": percent(market.sale_sku_num, market.sku_num),
                "monthSales": market.sales,
                "monthSalesRatio": percent(market.sales, platform.sales),
                "monthGmv": market.gmv,
                "monthGmvRatio": percent(market.gmv, platform.gmv),
                "currentDayPrice": market.price,
            }
        )
    return points


def split_whole(total: int, weights: list[float]) -> list[int]:
    """Split ``total`` into whole numbers in proportion to the weights; they add up to exactly ``total``."""
    scale = sum(weights)
    exact = [total * weight / scale for weight in weights]
    parts = [int(value) for value in exact]
    by_remainder = sorted(range(len(parts)), key=lambda index: parts[index] - exact[index])
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return parts


class _RankedSegment(NamedTuple):
    """A segment with its markets in the period and the one before, and the random numbers of its row."""

    segment: Segment
    now: Market
    before: Market
    luck: tuple[float, ...]  # each in [0, 1)


def _ranking_row(one: _RankedSegment, whole: Market) -> dict[str, Any]:
    segment, now, before, luck = one
    brand_rating = round(min(99.0, segment.brand_share * (0.97 + 0.06 * luck[0])), 2)
    brand_gmv = round(now.gmv * brand_rating / 100, 2)
    top_rating = round(2 + 33 * luck[1], 2)
    top_gmv = round(now.gmv * top_rating / 100, 2)
    top_price = round(now.price * (0.5 + 1.3 * luck[2]), 2)
    return {
        "catNameCn": segment.name.chinese,
        "catName": segment.name.russian,
        "catTag": int(3 * luck[3]),
        "catId1": segment.cat_ids[0],
        "catId2": segment.cat_ids[1],
        "catId3": segment.cat_ids[2],
        "skuNum": now.sku_num,
        "saleSkuNum": now.sale_sku_num,
        "saleRatio": percent(now.sale_sku_num, now.sku_num),
        "monthSales": now.sales,
        "monthSalesRating": percent(now.sales, whole.sales),
        "monthSalesDynamics": change_percent(now.sales, before.sales),
        "monthGmv": now.gmv,
        "monthGmvRmb": rmb(now.gmv),
        "monthGmvRating": percent(now.gmv, whole.gmv),
        "monthGmvDynamics": change_percent(now.gmv, before.gmv),
        "brand": 3 + int(398 * luck[4]),
        "brandGmv": brand_gmv,
        "brandGmvRmb": rmb(brand_gmv),
        "brandGmvRating": brand_rating,
        "topGmv": top_gmv,
        "topGmvRating": top_rating,
        "topAvgPrice": top_price,
        "topAvgPriceRmb": rmb(top_price),
    }


def _range_items(
    query: Query, name: str, table: tuple[tuple[str, float, float], ...], whole: Market
) -> list[dict[str, Any]]:
    luck = generator("view", name, query.cat_id, query.variant, query.last.granularity, query.last.key)
    items = [weight * luck.uniform(0.85, 1.15) for _, _, weight in table]
    worth = [count * value for count, (_, value, _) in zip(items, table, strict=True)]
    if name == VIEW_LISTS[2]:
        # Expensive items sell less often, so units and turnover differ from the number of items.
        sales = [count / value**0.4 for count, (_, value, _) in zip(items, table, strict=True)]
        gmv = [units * value for units, (_, value, _) in zip(sales, table, strict=True)]
    else:
        sales = worth
        gmv = [value * luck.uniform(0.9, 1.1) for value in worth]
    counts = split_whole(whole.sale_sku_num, items)
    sold = split_whole(whole.sales, sales)
    turnover = split_whole(round(whole.gmv), gmv)
    rates = [split_whole(_RATE_STEPS, weights) for weights in (items, sales, gmv)]
    return [
        {
            "id": index + 1,
            "title": title,
            "itemCount": counts[index],
            "sales": sold[index],
            "gmv": float(turnover[index]),
            "itemCountRate": rates[0][index] / 100,
            "salesRate": rates[1][index] / 100,
            "gmvRate": rates[2][index] / 100,
        }
        for index, (title, _, _) in enumerate(table)
    ]


def _brand_item(segment: Segment, own: Market, luck: random.Random) -> dict[str, Any]:
    gmv_rate = round(min(99.0, segment.brand_share * luck.uniform(0.97, 1.03)), 2)
    sales_rate = round(gmv_rate * luck.uniform(0.75, 0.95), 2)
    item_rate = round(gmv_rate * luck.uniform(0.5, 0.9), 2)
    return {
        "catId": segment.cat_ids[2],
        "catName": segment.name.russian,
        "catNameCn": segment.name.chinese,
        "brandGmv": round(own.gmv * gmv_rate / 100, 2),
        "brandGmvRate": gmv_rate,
        "brandItemCount": round(own.sale_sku_num * item_rate / 100),
        "brandItemCountRate": item_rate,
        "brandSales": round(own.sales * sales_rate / 100),
        "brandSalesRate": sales_rate,
        "typeId": 0,
    }


def _mark(items: list[dict[str, Any]], marks: dict[str, Any]) -> None:
    for item in items:
        item.update(marks)
