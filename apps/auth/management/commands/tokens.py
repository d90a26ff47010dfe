"""`manage.py tokens`: list, create and revoke API tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.management.base import CommandParser
from django.db.utils import DatabaseError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pymongo.errors import PyMongoError

from apps.auth import selectors, services
from apps.auth.choices import TokenScope
from apps.auth.passwords import validation
from apps.auth.serializers import CreatedTokenSerializer, RevokedTokenSerializer, TokenSerializer
from apps.core.api.pagination import DEFAULT_LIMIT, MAX_LIMIT
from apps.core.errors import DomainError, InvalidInput, NotFound
from apps.core.management.arguments import one_of, whole_number
from apps.core.management.base import OPERATOR, ExitCode
from apps.core.management.colours import Tone, Toned
from apps.core.management.subcommands import Options, Result, SubcommandsMixin
from apps.core.management.tables import format_table
from apps.core.storage.clock import server_now
from apps.core.time_texts import instant_text

_TONES = {"active": Tone.GOOD, "revoked": Tone.BAD, "expired": Tone.NOTICE}


class Command(SubcommandsMixin):
    """Lists, creates and revokes tokens; a token is printed once, when it is created."""

    help = gettext_noop("List, create or revoke API tokens.")
    subcommands: ClassVar = {
        "list": gettext_noop("list the tokens, the newest first; never the tokens themselves"),
        "create": gettext_noop("create a token and print it, for the only time"),
        "revoke": gettext_noop("revoke a token; it is refused everywhere within one second"),
    }
    asking = frozenset({"create", "revoke"})
    examples = (
        "tokens list",
        "tokens create --name dashboard --expires-hours 720 --yes",
        "tokens revoke dashboard",
    )
    argument_errors = (InvalidInput, NotFound)

    def add_list(self, parser: CommandParser) -> None:
        """Add the page."""
        parser.add_argument(
            "--limit",
            type=whole_number(1, MAX_LIMIT),
            default=DEFAULT_LIMIT,
            metavar="N",
            help=_("number of tokens to list, at most %(limit)d (default: %%(default)s)")
            % {"limit": MAX_LIMIT},
        )
        parser.add_argument(
            "--cursor", metavar="C", help=_("continue behind a list: its next_cursor, with --json")
        )

    def add_create(self, parser: CommandParser) -> None:
        """Add the properties of the token."""
        parser.add_argument("--name", required=True, metavar="NAME", help=_("who or what uses it"))
        parser.add_argument(
            "--scope",
            type=one_of(lambda: list(TokenScope.values)),
            default=TokenScope.READER.value,
            metavar="S",
            help=_("reader or admin (default: %(default)s); admin may do everything"),
        )
        parser.add_argument(
            "--expires-hours",
            type=whole_number(validation.EXPIRES_HOURS_MIN, validation.EXPIRES_HOURS_MAX),
            default=validation.EXPIRES_HOURS_DEFAULT,
            metavar="H",
            help=_("expires after so many hours (default: %(default)s)"),
        )

    def add_revoke(self, parser: CommandParser) -> None:
        """Add the token."""
        parser.add_argument("token", metavar="ID|NAME", help=_("the id or the name of the token"))

    def do_list(self, options: Options) -> Result:
        """List the tokens."""
        page = selectors.list_tokens(cursor=options["cursor"], limit=options["limit"])
        titles = [
            *(_("id"), _("name"), _("scope"), _("state"), _("created by"), _("created")),
            *(_("expires"), _("last used")),
        ]
        lines = [
            format_table(titles, [_row(one) for one in page.rows]) if page.rows else _("No tokens found.")
        ]
        if page.next_cursor:
            lines.append(_("There are more: --limit or --cursor %(cursor)s") % {"cursor": page.next_cursor})
        tokens = TokenSerializer(page.rows, many=True).data
        return {"tokens": tokens, "next_cursor": page.next_cursor}, "\n".join(lines), ExitCode.DONE

    def do_create(self, options: Options) -> Result:
        """Create a token."""
        name, scope, hours = options["name"], options["scope"], options["expires_hours"]
        try:
            name = validation.clean_label(name)  # before the question, which shows it
        except InvalidInput as error:  # which names the field of the API
            fields = {"name": (error.fields or {})["label"]}
            raise InvalidInput(error.message, fields=fields) from error
        facts = {"name": name, "scope": scope, "hours": hours}
        self.confirm(
            _("Create the token %(name)s, scope %(scope)s, expires after %(hours)d hours?") % facts, options
        )
        created = services.create_token(label=name, created_by=OPERATOR, expires_hours=hours, scope=scope)
        lines = [
            created.token,
            _("Keep it now: it is not stored and cannot be shown again. Id %(id)s, expires %(at)s.")
            % {"id": created.id, "at": instant_text(created.expires_at)},
        ]
        return CreatedTokenSerializer(created).data, "\n".join(lines), ExitCode.DONE

    def take_back(self, result: Mapping[str, Any]) -> str:
        """Revoke a new token that nobody has seen."""
        if "token" not in result:
            return ""
        try:
            services.revoke_token(token_id=result["id"], revoked_by=OPERATOR)
        except (PyMongoError, DatabaseError, DomainError):
            return _("Revoke the new token %(id)s.") % {"id": result["id"]}
        return _("The new token %(id)s was revoked.") % {"id": result["id"]}

    def do_revoke(self, options: Options) -> Result:
        """Revoke a token."""
        token = selectors.find_token(options["token"])
        facts = {"name": token["label"], "id": token["id"]}
        if not token["revoked"]:
            self.confirm(_("Revoke the token %(name)s (%(id)s)?") % facts, options)
        revoked = services.revoke_token(token_id=token["id"], revoked_by=OPERATOR)
        text = _("Revoked the token %(name)s (%(id)s).")
        if not revoked.was_active:
            text = _("The token %(name)s (%(id)s) had been revoked before.")
        return RevokedTokenSerializer(revoked).data, text % facts, ExitCode.DONE


def _row(token: Mapping[str, Any]) -> tuple[object, ...]:
    state = "revoked" if token["revoked"] else "expired" if token["expires_at"] <= server_now() else "active"
    labels = {"active": _("active"), "revoked": _("revoked"), "expired": _("expired")}
    return (
        token["id"],
        token["label"],
        token["scope"],
        Toned(labels[state], _TONES[state]),
        token["created_by"],
        instant_text(token["created_at"]),
        instant_text(token["expires_at"]),
        instant_text(token["last_used_at"]),
    )
