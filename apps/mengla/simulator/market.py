"""The invented market behind all figures: pure functions of category, period and variant.

Nothing is stored and no clock is read. Therefore equal queries get equal figures, ranges that overlap agree
point by point, and all data sets agree about one category and period.
"""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass
from functools import lru_cache

from apps.core.periods import Granularity, Period, PeriodError
from apps.mengla.simulator.names import GOODS, LEVEL_ONE, PURPOSES, Name

RUB_TO_RMB = 0.0911
SEGMENTS = 60

_PLATFORM_DAILY_SALES = 18_500_000
_PLATFORM_SKUS = 60_000_000
_DAYS_PER_YEAR = 365.25
_WEEKDAY_FACTORS = (0.97, 0.95, 0.96, 0.98, 1.03, 1.08, 1.03)
_SATURATION_YEAR = 2024.0
# The longer the period, the larger the share of items that sell at least once in it.
_SALE_RATIO_FACTORS = {
    Granularity.DAY: 0.4,
    Granularity.MONTH: 1.0,
    Granularity.QUARTER: 1.15,
    Granularity.YEAR: 1.25,
}
_FIRST_GENERATED_ID = 17_000_000
_GENERATED_IDS = 70_000_000


def unit(*parts: object) -> float:
    """Return a number in [0, 1) that depends only on ``parts``."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / (1 << 53)


def generator(*parts: object) -> random.Random:
    """Return a random generator whose numbers depend only on ``parts``."""
    return random.Random(hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest())  # noqa: S311


def rmb(roubles: float) -> float:
    """Convert roubles to yuan at one fixed rate."""
    return round(roubles * RUB_TO_RMB, 2)


def percent(part: float, whole: float) -> float:
    """Return the share of ``part`` in ``whole``, in percent with two decimals; 0 for an empty whole."""
    return round(part / whole * 100, 2) if whole else 0.0


def change_percent(now: float, before: float) -> float:
    """Return the change from ``before`` to ``now``, in percent with two decimals."""
    return round((now / before - 1) * 100, 2) if before else 0.0


def previous_or_same(period: Period) -> Period:
    """Return the previous period; for the very first period, the period itself."""
    try:
        return period.previous()
    except PeriodError:
        return period


@dataclass(frozen=True, slots=True)
class Market:
    """What one category sold in one period: units, average price in roubles, items, items that sold."""

    sales: int
    price: float
    sku_num: int
    sale_sku_num: int

    @property
    def gmv(self) -> float:
        """The turnover in roubles."""
        return round(self.sales * self.price, 2)


@dataclass(frozen=True, slots=True)
class Segment:
    """One of the categories in the ranking of a category."""

    number: int
    name: Name
    cat_ids: tuple[int | str, int | str, int | str]
    weight: float
    price_factor: float
    sku_factor: float
    brand_share: float


def market_of(cat_id: str, variant: str, period: Period) -> Market:
    """Return the market of a category in one period; an empty ``cat_id`` is the whole platform."""
    # All shares are shares of the platform, so the share of the platform itself is 1.
    share = _share(cat_id) if cat_id else 1.0
    if variant:
        share *= 0.002 + 0.2 * unit("variant", cat_id, variant)
    days = (period.last_day - period.first_day).days + 1
    noise = 1 + 0.08 * (unit("noise", cat_id, variant, period.granularity, period.key) - 0.5)
    level = share * _growth(period) * _season(cat_id, period) * noise
    sales = max(1, round(_PLATFORM_DAILY_SALES * days * level))
    sku_num = max(10, round(_PLATFORM_SKUS * share * (0.6 + 0.8 * unit("skus", cat_id)) * _growth(period)))
    sale_ratio = (0.15 + 0.55 * unit("sale_ratio", cat_id)) * noise * _SALE_RATIO_FACTORS[period.granularity]
    return Market(sales, _price(cat_id, period), sku_num, max(1, round(sku_num * sale_ratio)))


# Cached, because the next period compares its figures with those of this one.
@lru_cache(maxsize=256)
def segment_markets(cat_id: str, variant: str, period: Period) -> tuple[Market, ...]:
    """Return the markets of a category's segments in one period, in the order of :func:`segments_of`."""
    whole = market_of(cat_id, variant, period)
    # One generator for all: it takes longer to make one than to build a market.
    luck = generator("segments", cat_id, variant, period.granularity, period.key)
    return tuple(_segment_market(whole, segment, luck) for segment in segments_of(cat_id))


@lru_cache(maxsize=256)
def segments_of(cat_id: str) -> tuple[Segment, ...]:
    """Return the segments of a category, the largest first; they are the same in every period."""
    random_of = generator("segments", cat_id)
    numbers = random_of.sample(range(len(GOODS) * len(PURPOSES)), SEGMENTS)
    # A power law, as in real categories: a few segments have most of the sales.
    raw = [1 / (rank + 2) ** random_of.uniform(0.9, 1.2) for rank in range(SEGMENTS)]
    total = sum(raw) / 0.95
    return tuple(
        Segment(
            number=number,
            name=_segment_name(cat_id, number),
            cat_ids=_segment_ids(cat_id, number),
            weight=weight / total,
            price_factor=math.exp(random_of.gauss(0, 0.5)),
            sku_factor=math.exp(random_of.gauss(0, 0.6)),
            brand_share=random_of.uniform(40, 95),
        )
        for number, weight in zip(numbers, raw, strict=True)
    )


def as_id(cat_id: str) -> int | str:
    """Return a category id as the service writes it: decimal ids as numbers, all others as text."""
    return int(cat_id) if cat_id.isdecimal() and len(cat_id) < 16 else cat_id  # noqa: PLR2004


def _segment_market(whole: Market, segment: Segment, luck: random.Random) -> Market:
    sales = max(1, round(whole.sales * segment.weight * luck.uniform(0.75, 1.25)))
    price = round(whole.price * segment.price_factor * luck.uniform(0.95, 1.05), 2)
    sku_num = max(2, round(whole.sku_num * segment.weight * segment.sku_factor))
    return Market(sales, price, sku_num, max(1, round(sku_num * luck.uniform(0.15, 0.9))))


def _segment_name(cat_id: str, number: int) -> Name:
    goods, purpose = GOODS[number // len(PURPOSES)], PURPOSES[number % len(PURPOSES)]
    own = Name(f"{purpose.chinese}{goods.chinese}", f"{goods.russian} {purpose.russian}")
    above = LEVEL_ONE.get(cat_id or _level_one_of(number))
    if above is None:
        return own
    return Name(f"{above.chinese}>{own.chinese}", f"{above.russian}>{own.russian}")


def _segment_ids(cat_id: str, number: int) -> tuple[int | str, int | str, int | str]:
    own = _generated_id("segment", cat_id, number)
    top = cat_id or _level_one_of(number)
    if top in LEVEL_ONE:
        return int(top), _generated_id("group", top, number % 8), own
    return int(_level_one_of(int(unit("above", cat_id) * 1000))), as_id(cat_id), own


def _level_one_of(number: int) -> str:
    ids = list(LEVEL_ONE)
    return ids[number % len(ids)]


def _generated_id(*parts: object) -> int:
    return _FIRST_GENERATED_ID + int(unit("id", *parts) * _GENERATED_IDS)


def _share(cat_id: str) -> float:
    if cat_id in LEVEL_ONE:
        return float(0.15 / (list(LEVEL_ONE).index(cat_id) + 1) ** 0.7)
    return float(0.0008 * 10 ** (2.1 * unit("share", cat_id)))


def _growth(period: Period) -> float:
    middle = (period.first_day.toordinal() + period.last_day.toordinal()) / 2 / _DAYS_PER_YEAR
    # A logistic curve: it stays finite for every year that a period can have.
    return 0.02 + 1.6 / (1 + math.exp(-0.45 * (middle - _SATURATION_YEAR)))


def _season(cat_id: str, period: Period) -> float:
    if period.granularity == Granularity.YEAR:
        return 1.0
    middle = (period.first_day.toordinal() + period.last_day.toordinal()) / 2 / _DAYS_PER_YEAR
    amplitude = 0.05 + 0.25 * unit("amplitude", cat_id)
    wave = 1 + amplitude * math.cos(2 * math.pi * (middle - unit("phase", cat_id)))
    holidays = (
        1.18 if period.granularity != Granularity.QUARTER and period.last_day.month in {11, 12} else 1.0
    )
    weekday = _WEEKDAY_FACTORS[period.first_day.weekday()] if period.granularity == Granularity.DAY else 1.0
    return wave * holidays * weekday


def _price(cat_id: str, period: Period) -> float:
    base = 180 * 10 ** (1.2 * unit("price", cat_id))
    drift = 1 + 0.03 * (unit("price", cat_id, period.granularity, period.key) - 0.5)
    return round(base * drift * (1 + 0.05 * (_growth(period) - 1)), 2)
