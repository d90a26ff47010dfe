"""The plain views, with their serializers and their authentication."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.generics import ListAPIView, RetrieveAPIView, get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.categories.models import Category
from apps.core.periods import parse_period
from apps.mengla.models import Record
from apps.panels.models import PanelLayout


class EnvelopeMixin:
    """Puts the data into the envelope that clients expect."""

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        if not getattr(response, "exception", False):
            response.data = {"success": True, "data": response.data, "message": "ok"}
        return super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]


class CategorySerializer(serializers.ModelSerializer[Category]):
    class Meta:
        model = Category
        fields = ("data",)

    def to_representation(self, instance: Category) -> dict[str, Any]:
        return super().to_representation(instance)["data"]


class CategoryWithChildrenSerializer(CategorySerializer):
    def to_representation(self, instance: Category) -> dict[str, Any]:
        children = CategorySerializer(self.context["children"].get(instance.pk, []), many=True).data
        return {**super().to_representation(instance), "children": children}


class RecordSerializer(serializers.ModelSerializer[Record]):
    class Meta:
        model = Record
        fields = ("data",)

    def to_representation(self, instance: Record) -> dict[str, Any]:
        children = Category.objects.filter(parent_id=instance.cat_id).order_by("position")
        data = super().to_representation(instance)["data"]
        return {**data, "secondaryCategories": CategorySerializer(children, many=True).data}


class FiguresParameters(serializers.Serializer[Any]):
    action = serializers.ChoiceField(choices=["high", "hot", "chance"])
    primaryCatId = serializers.CharField(max_length=32)
    timest = serializers.CharField(max_length=16)


class FiguresView(EnvelopeMixin, APIView):
    """A ranking of one period."""

    def get(self, request: Request) -> Response:
        parameters = FiguresParameters(data=request.query_params)
        parameters.is_valid(raise_exception=True)
        action, cat_id, timest = parameters.validated_data.values()
        period = parse_period(timest)
        key = f"{action}:{cat_id}:{period.granularity.value}:{period.key}"
        return Response(RecordSerializer(get_object_or_404(Record, pk=key)).data)


class CategoryListView(EnvelopeMixin, ListAPIView[Category]):
    """The whole tree."""

    serializer_class = CategoryWithChildrenSerializer
    queryset = Category.objects.filter(parent_id="").order_by("position")

    def get_serializer_context(self) -> dict[str, Any]:
        children: dict[str, list[Category]] = {}
        for category in Category.objects.exclude(parent_id="").order_by("position"):
            children.setdefault(category.parent_id, []).append(category)
        return super().get_serializer_context() | {"children": children}


class CategoryView(EnvelopeMixin, RetrieveAPIView[Category]):
    """One category with its children."""

    serializer_class = CategoryWithChildrenSerializer
    queryset = Category.objects.all()

    def get_serializer_context(self) -> dict[str, Any]:
        pk = self.kwargs["pk"]
        children = list(Category.objects.filter(parent_id=pk).order_by("position"))
        return super().get_serializer_context() | {"children": {pk: children}}


class PanelConfigSerializer(serializers.ModelSerializer[PanelLayout]):
    modules = serializers.SerializerMethodField()
    layout = serializers.SerializerMethodField()

    class Meta:
        model = PanelLayout
        fields = ("modules", "layout", "version")

    def get_modules(self, instance: PanelLayout) -> list[dict[str, Any]]:
        return [
            {
                "id": module["id"],
                "name": module["name"],
                "enabled": module["is_enabled"],
                "order": module["order"],
                "props": module["props"],
            }
            for module in sorted(instance.modules, key=lambda module: module["order"])
        ]

    def get_layout(self, instance: PanelLayout) -> dict[str, Any]:
        return {
            "defaultPeriod": instance.default_period,
            "showRankPeriodSelector": instance.shows_rank_period_selector,
        }


class PanelConfigView(EnvelopeMixin, RetrieveAPIView[PanelLayout]):
    """The panel configuration."""

    serializer_class = PanelConfigSerializer
    queryset = PanelLayout.objects.all()

    def get_object(self) -> PanelLayout:
        return get_object_or_404(PanelLayout, pk="default")
