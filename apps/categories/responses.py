"""The shape of a category in the API; figures have the children of their category."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.core.api.serializers import NumberOrTextField


class CategoryChildSerializer(serializers.Serializer[dict[str, Any]]):
    """A level-2 category as imported; other fields of the imported file are returned, too."""

    has_more_fields = True

    catId = serializers.IntegerField(min_value=1, help_text="The id of this category.")
    catId1 = serializers.IntegerField(required=False, allow_null=True, help_text="The id of its level 1.")
    catId2 = serializers.IntegerField(required=False, allow_null=True, help_text="Its own id, 0 on level 1.")
    catId3 = serializers.IntegerField(required=False, allow_null=True)
    typeId = NumberOrTextField()
    catTag = NumberOrTextField()
    catNameCn = serializers.CharField(allow_blank=True, help_text="The Chinese name.")
    catName = serializers.CharField(allow_blank=True, help_text="The Russian name.")
    updateTime = NumberOrTextField()
    itemCount = NumberOrTextField()
    itemCountRate = NumberOrTextField()
    monthSales = NumberOrTextField()
    monthSalesRatio = NumberOrTextField()
    monthSalesDynamics = NumberOrTextField()
    monthGmv = NumberOrTextField()
    monthGmvRmb = NumberOrTextField()
    monthGmvRatio = NumberOrTextField()
    monthGmvDynamics = NumberOrTextField()
    brandGmv = NumberOrTextField()
    brandGmvRmb = NumberOrTextField()
    brandGmvRate = NumberOrTextField()
    brandSales = NumberOrTextField()
    brandSalesRate = NumberOrTextField()
    top10Gmv = NumberOrTextField()
    top10GmvRmb = NumberOrTextField()
    top10GmvRate = NumberOrTextField()
    headAvgPrivce = NumberOrTextField()
    headAvgPrivceRmb = NumberOrTextField()
    skuNum = NumberOrTextField()
    saleSkuNum = NumberOrTextField()
    saleRatio = NumberOrTextField()

    def to_representation(self, instance: dict[str, Any]) -> dict[str, Any]:
        """Return the whole node unchanged: the declared fields describe it, they do not filter it."""
        return instance
