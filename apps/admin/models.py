"""The alerts as they are stored, and permissions that belong to no document.

Only ``alerts/`` writes alerts, with conditional PyMongo updates.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from django_mongodb_backend.fields import ObjectIdAutoField

from apps.admin.choices import AlertEventKind, AlertRule, Severity, name_of
from apps.core.printable import labelled
from apps.core.stored_messages import Message, name_in_history


class Installation(models.Model):
    """The whole installation: nothing of it is stored, it has the permissions to change more than one row."""

    id = models.CharField(primary_key=True, max_length=1)

    class Meta:
        managed = False
        default_permissions = ()
        permissions = (
            ("clear_caches", gettext_noop("Can clear the caches")),
            ("reset_breaker", gettext_noop("Can reset the circuit breaker")),
            ("cancel_all", gettext_noop("Can cancel all sync tasks and collections")),
            ("purge_data", gettext_noop("Can delete collected data and duplicates")),
        )
        verbose_name = _("installation")
        verbose_name_plural = _("installation")

    def __str__(self) -> str:
        return str(self._meta.verbose_name)


class Alert(models.Model):
    """One alert and its state. The key is the rule, or ``rule:action`` if the rule has an alert per data set.

    ``episode`` counts the firings. ``is_told`` says whether a notice of the present firing was
    enqueued, and ``told_at`` when a notice of any firing was last enqueued.

    ``pending_events`` holds the events of a change and is written in the same update as the change. It is
    emptied once the history and the outbox have the events: a process that is killed in between loses none.
    """

    id = models.CharField(primary_key=True, max_length=80, db_column="_id")
    rule = models.CharField(_("rule"), max_length=40, choices=AlertRule.choices)
    action = models.CharField(_("data set"), max_length=32, blank=True)
    severity = models.CharField(_("severity"), max_length=16, choices=Severity.choices)
    is_firing = models.BooleanField(_("is firing"), default=False)
    is_told = models.BooleanField(default=False)
    told_at = models.DateTimeField(null=True)
    episode = models.IntegerField(_("firings"), default=0)
    message = models.CharField(_("message"), max_length=300, blank=True)
    message_parts = models.JSONField(null=True)
    value = models.FloatField(_("value"), null=True)
    threshold = models.FloatField(_("threshold"), null=True)
    fired_at = models.DateTimeField(_("fired at"), null=True)
    resolved_at = models.DateTimeField(_("resolved at"), null=True)
    updated_at = models.DateTimeField(_("updated at"), null=True)
    pending_events = models.JSONField(default=list)

    class Meta:
        db_table = "alerts"
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")

    def __str__(self) -> str:
        return f"{self.get_rule_display()} {self.action}".strip()

    def history_name(self) -> Message:
        """Return what ``str`` returns, for the history, whose readers may have another language."""
        return _history_name(self.rule, self.action)


class AlertSilence(models.Model):
    """The silence of a rule: until it ends, the rule sends no notices.

    The key is the rule, or ``rule:action`` for one data set of it. Silences that are over are deleted.
    """

    id = models.CharField(_("rule"), primary_key=True, max_length=80, db_column="_id")
    silenced_until = models.DateTimeField(_("silenced until"))
    silenced_by = models.CharField(_("silenced by"), max_length=160)
    silenced_at = models.DateTimeField(_("silenced at"), null=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)

    class Meta:
        db_table = "alert_silences"
        verbose_name = _("silence")
        verbose_name_plural = _("silences")

    def __str__(self) -> str:
        rule, _separator, action = self.id.partition(":")
        return name_of(rule, action)

    def history_name(self) -> Message:
        """Return what ``str`` returns, for the history, whose readers may have another language."""
        return _history_name(*self.id.partition(":")[::2])


class AlertEvent(models.Model):
    """One event of the history, a capped MongoDB collection that keeps the newest 1000."""

    id = ObjectIdAutoField(primary_key=True)
    kind = models.CharField(_("event"), max_length=16, choices=AlertEventKind.choices)
    rule = models.CharField(_("rule"), max_length=40, choices=AlertRule.choices)
    action = models.CharField(_("data set"), max_length=32, blank=True)
    severity = models.CharField(_("severity"), max_length=16, choices=Severity.choices)
    message = models.CharField(_("message"), max_length=300)
    message_parts = models.JSONField(null=True)
    value = models.FloatField(_("value"), null=True)
    threshold = models.FloatField(_("threshold"), null=True)
    is_silenced = models.BooleanField(_("was silenced"), default=False)
    at = models.DateTimeField(_("at"))

    class Meta:
        db_table = "alert_events"
        verbose_name = _("alert event")
        verbose_name_plural = _("alert history")

    def __str__(self) -> str:
        return labelled(self.get_rule_display(), self.get_kind_display())


class AlertNotice(models.Model):
    """An event for one channel: the signed webhook, or an address of ALERT_URLS. Kept for a day.

    ``error`` says why the last attempt failed, at ``failed_at``. The key follows from those of the event and
    the channel.
    """

    id = ObjectIdAutoField(primary_key=True)
    event = models.JSONField(_("event"))
    # What the admin shows of the event, which it cannot read itself: it holds an instant.
    kind = models.CharField(_("event"), max_length=16, blank=True)
    rule = models.CharField(_("rule"), max_length=40, blank=True)
    action = models.CharField(_("data set"), max_length=32, blank=True)
    channel = models.CharField(_("channel"), max_length=64, default="webhook")
    attempts = models.IntegerField(_("attempts"), default=0)
    not_before = models.DateTimeField(_("not before"))
    created_at = models.DateTimeField(_("created at"))
    delivered_at = models.DateTimeField(_("delivered at"), null=True)
    given_up_at = models.DateTimeField(_("given up at"), null=True)
    failed_at = models.DateTimeField(_("failed at"), null=True)
    error = models.CharField(_("problem"), max_length=500, blank=True)
    error_parts = models.JSONField(null=True)

    class Meta:
        # Processes of the former release post everything in ``alert_notices`` to the webhook.
        db_table = "alert_deliveries"
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        indexes = [
            models.Index(fields=["created_at", "id"], name="alert_notice_oldest"),
            models.Index(
                fields=["channel", "delivered_at", "given_up_at", "created_at", "id"],
                name="alert_notice_of_channel",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


def _history_name(rule: str, action: str) -> Message:
    is_known = rule in AlertRule.values  # a newer release may have other rules
    return name_in_history(AlertRule(rule).label if is_known else rule, action)
