"""The shape of a category in the API."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class CategoryChildSerializer(serializers.Serializer[dict[str, Any]]):
    """A level-2 category as imported; other fields of the imported file are returned, too."""

    catId = serializers.IntegerField(min_value=1, help_text="The id of this category.")
    catId1 = serializers.IntegerField(required=False, allow_null=True, help_text="The id of its level 1.")
    catId2 = serializers.IntegerField(required=False, allow_null=True, help_text="Its own id, 0 on level 1.")
    catId3 = serializers.IntegerField(required=False, allow_null=True)
    typeId = serializers.IntegerField(required=False, allow_null=True)
    catTag = serializers.IntegerField(required=False, allow_null=True)
    catNameCn = serializers.CharField(allow_blank=True, help_text="The Chinese name.")
    catName = serializers.CharField(allow_blank=True, help_text="The Russian name.")
    updateTime = serializers.CharField(required=False, allow_null=True)
    itemCount = serializers.IntegerField(required=False, allow_null=True)
    itemCountRate = serializers.FloatField(required=False, allow_null=True)
    monthSales = serializers.FloatField(required=False, allow_null=True)
    monthSalesRatio = serializers.FloatField(required=False, allow_null=True)
    monthSalesDynamics = serializers.FloatField(required=False, allow_null=True)
    monthGmv = serializers.FloatField(required=False, allow_null=True)
    monthGmvRmb = serializers.FloatField(required=False, allow_null=True)
    monthGmvRatio = serializers.FloatField(required=False, allow_null=True)
    monthGmvDynamics = serializers.FloatField(required=False, allow_null=True)
    brandGmv = serializers.FloatField(required=False, allow_null=True)
    brandGmvRmb = serializers.FloatField(required=False, allow_null=True)
    brandGmvRate = serializers.FloatField(required=False, allow_null=True)
    brandSales = serializers.FloatField(required=False, allow_null=True)
    brandSalesRate = serializers.FloatField(required=False, allow_null=True)
    top10Gmv = serializers.FloatField(required=False, allow_null=True)
    top10GmvRmb = serializers.FloatField(required=False, allow_null=True)
    top10GmvRate = serializers.FloatField(required=False, allow_null=True)
    headAvgPrivce = serializers.FloatField(required=False, allow_null=True)
    headAvgPrivceRmb = serializers.FloatField(required=False, allow_null=True)
    skuNum = serializers.IntegerField(required=False, allow_null=True)
    saleSkuNum = serializers.IntegerField(required=False, allow_null=True)
    saleRatio = serializers.FloatField(required=False, allow_null=True)

    def to_representation(self, instance: dict[str, Any]) -> dict[str, Any]:
        """Return the whole node unchanged: the declared fields describe it, they do not filter it."""
        return instance


class CategorySerializer(CategoryChildSerializer):
    """A category with its children, in the order of the imported file."""

    children = CategoryChildSerializer(many=True)
