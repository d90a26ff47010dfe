"""How the addresses of figures answer, for the API's description: the figures of each data set, the headers.

Figures are served as the collection service sent them. What is certain is what
:func:`apps.mengla.upstream.payloads.unwrap` guarantees: a ranking has a list of objects, a distribution has
four, and a trend is a list of objects with a period each. Everything else may be missing, null, or a text in
place of a number, and further fields are served, too.
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.categories.responses import CategoryChildSerializer
from apps.core.api.openapi.components import RETRY_AFTER, ResponseHeader
from apps.core.api.openapi.facts import DataResponse, answers
from apps.core.api.serializers import NumberOrTextField
from apps.core.errors import RateLimited
from apps.mengla.errors import CollectFailed, CollectTimeout
from apps.mengla.serializers import CollectingSerializer


class _Text(serializers.CharField):
    """A text, if the service sent one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, "allow_null": True} | kwargs)


class RankingRowSerializer(serializers.Serializer[Any]):
    """A row of a ranking: a segment of the category. Money is in roubles, or in yuan (Rmb)."""

    has_more_fields = True

    catNameCn = _Text(help_text="The Chinese name.")
    catName = _Text(help_text="The Russian name.")
    catTag = NumberOrTextField()
    catId1 = serializers.IntegerField(required=False, allow_null=True, help_text="The category of level 1.")
    catId2 = serializers.IntegerField(required=False, allow_null=True, help_text="The category of level 2.")
    catId3 = serializers.IntegerField(required=False, allow_null=True, help_text="The category of level 3.")
    skuNum = NumberOrTextField(help_text="Items on offer.")
    saleSkuNum = NumberOrTextField(help_text="Items that were sold.")
    saleRatio = NumberOrTextField(help_text="Share of the items that were sold.")
    monthSales = NumberOrTextField(help_text="Units sold in the period.")
    monthSalesRating = NumberOrTextField(help_text="Share of the units of the category.")
    monthSalesDynamics = NumberOrTextField(
        help_text="Change of the units from the period before, in percent."
    )
    monthGmv = NumberOrTextField(help_text="Turnover of the period.")
    monthGmvRmb = NumberOrTextField(help_text="Turnover in yuan.")
    monthGmvRating = NumberOrTextField(help_text="Share of the turnover of the category.")
    monthGmvDynamics = NumberOrTextField(
        help_text="Change of the turnover from the period before, in percent."
    )
    brand = NumberOrTextField(help_text="Number of brands, or the name of one.")
    brandGmv = NumberOrTextField(help_text="Turnover of the brands.")
    brandGmvRmb = NumberOrTextField(help_text="Turnover of the brands in yuan.")
    brandGmvRating = NumberOrTextField(help_text="Share of the brands in the turnover.")
    topGmv = NumberOrTextField(help_text="Turnover of the top sellers.")
    topGmvRating = NumberOrTextField(help_text="Share of the top sellers in the turnover.")
    topAvgPrice = NumberOrTextField(help_text="Average price of the top sellers.")
    topAvgPriceRmb = NumberOrTextField(help_text="Average price of the top sellers in yuan.")


# Rankings and distributions may have more fields, too. Their schemas do not say so: TypeScript tells the two
# apart by the fields that only one of them has.
class RankingDataSerializer(serializers.Serializer[Any]):
    """A ranking: blue ocean, best sellers or rising."""

    list = RankingRowSerializer(many=True, help_text="The rows in their order.")
    secondaryCategories = CategoryChildSerializer(
        many=True, required=False, help_text="The children of the category; absent for all categories."
    )


class RangeItemSerializer(serializers.Serializer[Any]):
    """One range of a distribution, such as a range of prices. Rates are percent."""

    has_more_fields = True

    id = NumberOrTextField()
    title = _Text(help_text="The range, such as 500-1000.")
    itemCount = NumberOrTextField(help_text="Items in the range.")
    sales = NumberOrTextField(help_text="Units sold.")
    gmv = NumberOrTextField(help_text="Turnover.")
    itemCountRate = NumberOrTextField(help_text="Share of the items.")
    salesRate = NumberOrTextField(help_text="Share of the units.")
    gmvRate = NumberOrTextField(help_text="Share of the turnover.")


class BrandItemSerializer(serializers.Serializer[Any]):
    """The brands of one category. Rates are percent."""

    has_more_fields = True

    catId = serializers.IntegerField(required=False, allow_null=True)
    catName = _Text(help_text="The Russian name.")
    catNameCn = _Text(help_text="The Chinese name.")
    brandGmv = NumberOrTextField(help_text="Turnover of the brands.")
    brandGmvRate = NumberOrTextField(help_text="Share of the turnover.")
    brandItemCount = NumberOrTextField(help_text="Items of the brands.")
    brandItemCountRate = NumberOrTextField(help_text="Share of the items.")
    brandSales = NumberOrTextField(help_text="Units sold.")
    brandSalesRate = NumberOrTextField(help_text="Share of the units.")
    typeId = NumberOrTextField()


class DistributionDataSerializer(serializers.Serializer[Any]):
    """The distribution by sales, turnover and price, and the brands; a list may be empty, but not all."""

    industrySalesRangeDtoList = RangeItemSerializer(many=True, help_text="By units sold.")
    industryGmvRangeDtoList = RangeItemSerializer(many=True, help_text="By turnover.")
    industryPriceRangeDtoList = RangeItemSerializer(many=True, help_text="By price.")
    industryBrandRateDtoList = BrandItemSerializer(many=True, help_text="Brands by category.")
    secondaryCategories = CategoryChildSerializer(
        many=True, required=False, help_text="The children of the category; absent for all categories."
    )


class TrendPointSerializer(serializers.Serializer[Any]):
    """One period of a trend. Ratios are percent."""

    has_more_fields = True

    timest = NumberOrTextField(required=True, help_text="The period, such as 2025-06.")
    salesSkuCount = NumberOrTextField(help_text="Items that were sold.")
    salesSkuRatio = NumberOrTextField(help_text="Share of the items that were sold.")
    monthSales = NumberOrTextField(help_text="Units sold in the period.")
    monthSalesRatio = NumberOrTextField(help_text="Share of the units of the whole market.")
    monthGmv = NumberOrTextField(help_text="Turnover of the period.")
    monthGmvRatio = NumberOrTextField(help_text="Share of the turnover of the whole market.")
    currentDayPrice = NumberOrTextField(help_text="Average price.")


_HEADERS = (
    ResponseHeader(
        "X-MengLa-Source",
        "Where the figures come from: this process, Redis, MongoDB, or just collected.",
        {"type": "string", "enum": ["l1", "l2", "l3", "fresh"]},
    ),
    ResponseHeader(
        "X-MengLa-Freshness",
        "`stale`: refreshed in the background; `empty`: the service has no figures.",
        {"type": "string", "enum": ["fresh", "stale", "empty"]},
    ),
    ResponseHeader(
        "X-MengLa-Provisional",
        "Some of the figures were collected before their period was over.",
        {"type": "string", "enum": ["1"]},
        is_always=False,
    ),
    ResponseHeader(
        "X-MengLa-Trend-Partial",
        "`requested,found`: some points of the trend are missing and are being collected.",
        {"type": "string", "pattern": "^[0-9]+,[0-9]+$"},
        is_always=False,
    ),
)
_ROW = {
    "catNameCn": "锅具",
    "catName": "Кастрюли и сковороды",
    "catTag": 1,
    "catId1": 4200,
    "catId2": 4201,
    "catId3": 42011,
    "skuNum": 18240,
    "saleSkuNum": 6312,
    "saleRatio": 34.6,
    "monthSales": 412873,
    "monthSalesRating": 3.1,
    "monthSalesDynamics": 12.4,
    "monthGmv": 512340987.5,
    "monthGmvRmb": 40211345.2,
    "monthGmvRating": 4.2,
    "monthGmvDynamics": -1.8,
    "brand": 57,
    "brandGmv": 91234567.0,
    "brandGmvRmb": 7160914.4,
    "brandGmvRating": 17.8,
    "topGmv": 12003400.0,
    "topGmvRating": 2.3,
    "topAvgPrice": 1240.9,
    "topAvgPriceRmb": 97.4,
}
_RANGE = {
    "id": 1,
    "title": "500-1000",
    "itemCount": 121,
    "sales": 900,
    "gmv": 45000.5,
    "itemCountRate": 24.0,
    "salesRate": 20.0,
    "gmvRate": 5.0,
}
_BRAND = {
    "catId": 4201,
    "catName": "Кастрюли и сковороды",
    "catNameCn": "锅具",
    "brandGmv": 1200000.0,
    "brandGmvRate": 31.0,
    "brandItemCount": 42,
    "brandItemCountRate": 4.0,
    "brandSales": 8000,
    "brandSalesRate": 12.0,
    "typeId": 0,
}
_POINT = {
    "timest": "2025-06",
    "salesSkuCount": 6312,
    "salesSkuRatio": 34.6,
    "monthSales": 412873,
    "monthSalesRatio": 1.5,
    "monthGmv": 512340987.5,
    "monthGmvRatio": 1.2,
    "currentDayPrice": 1240.9,
}
_DISTRIBUTION = {
    "industrySalesRangeDtoList": [_RANGE | {"title": "11-50"}],
    "industryGmvRangeDtoList": [_RANGE | {"title": "1000-10000"}],
    "industryPriceRangeDtoList": [_RANGE],
    "industryBrandRateDtoList": [_BRAND],
    "secondaryCategories": [],
}


def _body(data: Any, message: str = "ok") -> dict[str, Any]:
    return {"success": True, "data": data, "message": message}


_EMPTY = {"No figures": _body(None, "empty: empty_list")}
_RANKING = {"A ranking": _body({"list": [_ROW], "secondaryCategories": []})}
_VIEW = {"A distribution": _body(_DISTRIBUTION)}
_TREND = {"A trend": _body([_POINT, _POINT | {"timest": "2025-07"}])}
_FOUND = "The figures, from the store or the caches. Null if the collection service has none."
_COLLECTING = DataResponse(
    "Collecting",
    CollectingSerializer,
    description="The figures are not stored yet; they are being collected. Try again after `Retry-After`.",
    examples={
        "A miss": _body(
            {
                "collecting": True,
                "collection": {
                    "id": "683d3a5f9b1e8a5d2c4f7e10",
                    "status": "PENDING",
                    "priority": 0,
                    "position": 0,
                    "waiting": None,
                    "created_at": "2025-07-01T08:00:00Z",
                },
            },
            "The figures are being collected.",
        )
    },
)


def _responses(found: DataResponse) -> dict[int, DataResponse]:
    return {200: found, 202: _COLLECTING}


RANKING = _responses(
    DataResponse(
        "Ranking", RankingDataSerializer, description=_FOUND, is_nullable=True, examples=_RANKING | _EMPTY
    )
)
DISTRIBUTION = _responses(
    DataResponse(
        "Distribution",
        DistributionDataSerializer,
        description=_FOUND,
        is_nullable=True,
        examples=_VIEW | _EMPTY,
    )
)
TREND = _responses(
    DataResponse(
        "Trend",
        TrendPointSerializer(many=True),
        description=_FOUND,
        is_nullable=True,
        examples=_TREND | _EMPTY,
    )
)
# A reader that tries one after the other finds the right one: each has names that are required and its own.
FIGURES = _responses(
    DataResponse(
        "Figures",
        RankingDataSerializer,
        DistributionDataSerializer,
        TrendPointSerializer(many=True),
        description=_FOUND,
        is_nullable=True,
        examples=_RANKING | _VIEW | _TREND | _EMPTY,
    )
)
answers_figures = answers(
    RateLimited,
    CollectFailed,
    CollectTimeout,
    is_cached=True,
    headers={200: _HEADERS, 202: [RETRY_AFTER], 304: _HEADERS},
)
