"""`manage.py oidc_users`: the users that log in by the OpenID provider, and the link of an existing user."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.auth.oidc import identities
from apps.core.errors import InvalidInput, NotFound
from apps.core.management.base import ExitCode
from apps.core.management.subcommands import Options, Result, SubcommandsMixin
from apps.core.management.tables import format_table
from apps.core.time_texts import instant_text


class Command(SubcommandsMixin):
    """Lists the identities of users, and links one to an existing user."""

    help = gettext_noop("List the users of the OpenID provider, or link one to a user.")
    subcommands: ClassVar = {
        "list": gettext_noop("list the users that the provider logs in"),
        "link": gettext_noop("let an existing user log in by the provider"),
    }
    asking = frozenset({"link"})
    examples = ("oidc_users list", "oidc_users link --username ana --subject 248289761001 --yes")
    argument_errors = (InvalidInput, NotFound)

    def add_link(self, parser: CommandParser) -> None:
        """Add the user and its identity."""
        parser.add_argument("--username", required=True, metavar="NAME", help=_("the user here"))
        parser.add_argument(
            "--subject", required=True, metavar="SUB", help=_("the provider's id of the user: its claim sub")
        )

    def do_list(self, options: Options) -> Result:
        """List the identities."""
        rows = identities.list_identities()
        titles = [_("user"), _("subject"), _("issuer"), _("last login")]
        cells = [
            (one["username"], one["subject"], one["issuer"], instant_text(one["last_login_at"]))
            for one in rows
        ]
        text = format_table(titles, cells) if cells else _("No user of the provider found.")
        return {"users": rows}, text, ExitCode.DONE

    def do_link(self, options: Options) -> Result:
        """Link a user."""
        if not settings.OIDC_ISSUER_URL:
            raise InvalidInput(_("OIDC_ISSUER_URL is not set."))
        named = {"username": options["username"], "subject": options["subject"]}
        question = _("Let %(username)s log in by the provider as %(subject)s, with the rights of its groups?")
        self.confirm(question % named, options)
        identities.link(issuer=settings.OIDC_ISSUER_URL, **named)
        text = _("%(username)s can log in by the provider as %(subject)s.")
        return named, text % named, ExitCode.DONE
