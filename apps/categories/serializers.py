"""The shape of the category tree in the API."""

from __future__ import annotations

from apps.categories.responses import CategoryChildSerializer


class CategorySerializer(CategoryChildSerializer):
    """A category with its children, in the order of the imported file."""

    children = CategoryChildSerializer(many=True)
