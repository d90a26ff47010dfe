"""The caller of a request, as every view sees it in ``request.user``."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from datetime import datetime

from apps.auth.choices import CredentialKind, TokenScope
from apps.auth.tokens.caller_cache import Acceptance


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The caller: a logged-in user, or an API token, whose username is its label.

    ``permissions`` are Django's. They are None when MongoDB does not respond and they are not cached; then
    ``acceptance`` is None, too.
    """

    username: str
    scope: TokenScope
    kind: CredentialKind
    expires_at: datetime
    token_id: str | None = None
    permissions: frozenset[str] | None = frozenset()
    has_all_permissions: bool = False
    acceptance: Acceptance | None = field(default=None, compare=False, repr=False)

    @property
    def is_authenticated(self) -> bool:
        """Always true; DRF and Django read it."""
        return True

    @property
    def is_anonymous(self) -> bool:
        """Always false; DRF and Django read it."""
        return False

    def get_username(self) -> str:
        """Return the name, as Django's users do."""
        return self.username

    @property
    def caller_key(self) -> str:
        """A name that no other caller has, and that is no secret: tokens may have equal labels."""
        return self.username if self.token_id is None else f"token:{self.token_id}"

    @property
    def is_staff(self) -> bool:
        """Whether the caller is an admin."""
        return self.scope == TokenScope.ADMIN

    def has_permissions(self, needed: Set[str]) -> bool:
        """Whether the caller has all of these permissions, each such as ``mengla.delete_record``."""
        return self.has_all_permissions or needed <= (self.permissions or frozenset())
