"""The addresses that delete collected data and duplicates."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.admin.data.serializers import (
    DuplicatesSerializer,
    PurgedSerializer,
    PurgeSerializer,
    RemoveDuplicatesSerializer,
)
from apps.admin.permissions import TO_PURGE, TO_REMOVE_DUPLICATES
from apps.auth.permissions import IsAdmin
from apps.core.api.viewsets import ViewSet
from apps.mengla.former.duplicates import remove_duplicate_records
from apps.mengla.maintenance.purge import PurgeTarget, purge

_MAX_SECONDS = 20.0


@extend_schema(tags=["operations"])
class DataViewSet(ViewSet):
    """Deletions, which cannot be undone."""

    permission_classes = (IsAdmin,)
    inputs: ClassVar = {"purge": PurgeSerializer, "remove_duplicates": RemoveDuplicatesSerializer}
    changes: ClassVar = {
        "purge": TO_PURGE,
        "remove_duplicates": TO_REMOVE_DUPLICATES,
    }

    @extend_schema(
        operation_id="admin_data_purge",
        summary="Delete collected data",
        description=(
            "Records, ended collections and ended sync tasks, and the caches; never users, tokens, panels, "
            "categories or settings. Repeat the request until `is_complete`."
        ),
        request=PurgeSerializer,
        responses={200: PurgedSerializer},
    )
    def purge(self, request: Request) -> Response:
        """Delete the targets."""
        wanted = self.valid_input(request)
        purged = purge(
            targets={PurgeTarget(name) for name in wanted.validated_data["targets"]},
            purged_by=request.user.get_username(),
            max_seconds=_MAX_SECONDS,
        )
        return Response(PurgedSerializer(purged).data)

    @extend_schema(
        operation_id="admin_duplicates_remove",
        summary="Remove duplicate records",
        description=(
            "Keeps the record with data; among several, the one under the key that readers use. "
            "Only counts duplicates unless `apply` is true."
        ),
        request=RemoveDuplicatesSerializer,
        responses={200: DuplicatesSerializer},
    )
    def remove_duplicates(self, request: Request) -> Response:
        """Find duplicates, and delete them if the request says so."""
        wanted = self.valid_input(request)
        report = remove_duplicate_records(
            is_applied=wanted.validated_data["apply"],
            requested_by=request.user.get_username(),
            max_seconds=_MAX_SECONDS,
        )
        return Response(DuplicatesSerializer(report).data)
