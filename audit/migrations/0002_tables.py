"""The outbox, its deliveries, keys of requests, the record of checks, and leases."""

import audit.ids
import django.core.serializers.json
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [("audit", "0002_records"), ("audit", "0003_lease")]

    initial = True

    dependencies = [
        ("audit", "0001_functions"),
    ]

    operations = [
        migrations.CreateModel(
            name="ConsistencyReport",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("manual", "by hand"), ("scheduled", "scheduled")],
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                (
                    "organization_id",
                    models.UUIDField(
                        help_text="Empty: everything was checked.",
                        null=True,
                        verbose_name="organisation",
                    ),
                ),
                ("fix", models.BooleanField(default=False, verbose_name="with repairs")),
                ("started_at", models.DateTimeField(verbose_name="started at")),
                ("finished_at", models.DateTimeField(verbose_name="finished at")),
                ("actor_label", models.CharField(max_length=200, verbose_name="by")),
                ("checks_run", models.PositiveIntegerField(default=0, verbose_name="checks")),
                ("findings_count", models.PositiveIntegerField(default=0, verbose_name="found")),
                ("fixed_count", models.PositiveIntegerField(default=0, verbose_name="repaired")),
                (
                    "figures",
                    models.JSONField(
                        default=list,
                        help_text="Per check: found, fixed, milliseconds, error.",
                        verbose_name="figures",
                    ),
                ),
            ],
            options={
                "verbose_name": "consistency report",
                "verbose_name_plural": "consistency reports",
                "ordering": ("-started_at", "-id"),
                "indexes": [
                    models.Index(fields=["started_at"], name="audit_consistencyrep_by_time")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("finished_at__gte", models.F("started_at"))),
                        name="audit_consistencyreport_ends_after_start",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Finding",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("check_id", models.CharField(max_length=100, verbose_name="check")),
                (
                    "severity",
                    models.CharField(
                        choices=[
                            ("info", "info"),
                            ("warning", "warning"),
                            ("error", "error"),
                            ("critical", "critical"),
                        ],
                        max_length=10,
                        verbose_name="severity",
                    ),
                ),
                ("organization_id", models.UUIDField(null=True, verbose_name="organisation")),
                ("subject_type", models.CharField(max_length=64, verbose_name="subject type")),
                ("subject_id", models.CharField(max_length=64, verbose_name="subject id")),
                ("message", models.TextField(verbose_name="what is wrong")),
                (
                    "details",
                    models.JSONField(
                        default=dict,
                        encoder=django.core.serializers.json.DjangoJSONEncoder,
                        verbose_name="details",
                    ),
                ),
                ("fixable", models.BooleanField(default=False, verbose_name="can be repaired")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("open", "open"),
                            ("fixed", "repaired"),
                            ("needs_review", "needs review"),
                            ("gone", "gone by itself"),
                        ],
                        default="open",
                        max_length=12,
                        verbose_name="status",
                    ),
                ),
                ("fixed_at", models.DateTimeField(null=True, verbose_name="repaired at")),
                (
                    "fix_note",
                    models.TextField(blank=True, default="", verbose_name="what was done"),
                ),
                (
                    "fix_error",
                    models.TextField(blank=True, default="", verbose_name="repair failed"),
                ),
                (
                    "report",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="findings",
                        to="audit.consistencyreport",
                    ),
                ),
            ],
            options={
                "verbose_name": "finding",
                "verbose_name_plural": "findings",
                "ordering": ("-id",),
                "indexes": [
                    models.Index(fields=["organization_id", "status"], name="audit_finding_by_org"),
                    models.Index(
                        fields=["subject_type", "subject_id"], name="audit_finding_by_subject"
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status", "fixed"), _negated=True),
                            ("fixed_at__isnull", False),
                            _connector="OR",
                        ),
                        name="audit_finding_fixed_says_when",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="IdempotencyKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("user_id", models.UUIDField(verbose_name="user")),
                ("route", models.CharField(max_length=200, verbose_name="route")),
                ("key", models.CharField(max_length=255, verbose_name="key")),
                ("request_hash", models.CharField(max_length=64, verbose_name="request hash")),
                ("status", models.PositiveSmallIntegerField(verbose_name="status")),
                (
                    "body",
                    models.TextField(help_text="Exactly as it was sent.", verbose_name="body"),
                ),
                ("headers", models.JSONField(default=dict, verbose_name="headers")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        verbose_name="answered at",
                    ),
                ),
            ],
            options={
                "verbose_name": "idempotency key",
                "verbose_name_plural": "idempotency keys",
                "indexes": [
                    models.Index(fields=["created_at"], name="audit_idempotencykey_by_age")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user_id", "route", "key"),
                        name="audit_idempotencykey_one_answer_per_key",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__gte", 200), ("status__lte", 499)),
                        name="audit_idempotencykey_keeps_no_server_error",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Lease",
            fields=[
                (
                    "name",
                    models.CharField(
                        max_length=64, primary_key=True, serialize=False, verbose_name="work"
                    ),
                ),
                ("holder", models.UUIDField(verbose_name="holder")),
                ("worker", models.CharField(max_length=200, verbose_name="worker")),
                ("taken_at", models.DateTimeField(verbose_name="taken at")),
                ("until", models.DateTimeField(verbose_name="until")),
            ],
            options={
                "verbose_name": "lease",
                "verbose_name_plural": "leases",
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="OutboxEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("kind", models.CharField(max_length=64, verbose_name="kind")),
                ("organization_id", models.UUIDField(null=True, verbose_name="organisation")),
                ("subject_type", models.CharField(max_length=64, verbose_name="subject type")),
                ("subject_id", models.CharField(max_length=64, verbose_name="subject id")),
                (
                    "payload",
                    models.JSONField(
                        default=dict,
                        encoder=django.core.serializers.json.DjangoJSONEncoder,
                        verbose_name="payload",
                    ),
                ),
                (
                    "recipients",
                    models.JSONField(
                        default=list,
                        help_text="Addresses, until there is a delivery for each of them.",
                        verbose_name="recipients",
                    ),
                ),
                (
                    "reply_to",
                    models.CharField(
                        blank=True, default="", max_length=254, verbose_name="reply to"
                    ),
                ),
                (
                    "actor_label",
                    models.CharField(blank=True, default="", max_length=200, verbose_name="by"),
                ),
                (
                    "request_id",
                    models.CharField(blank=True, default="", max_length=64, verbose_name="request"),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        verbose_name="written at",
                    ),
                ),
                ("dispatched_at", models.DateTimeField(null=True, verbose_name="handed out at")),
                (
                    "error",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="Why no deliveries could be made from this event.",
                        max_length=200,
                        verbose_name="error",
                    ),
                ),
            ],
            options={
                "verbose_name": "event",
                "verbose_name_plural": "events",
                "ordering": ("-created_at", "-id"),
                "indexes": [
                    models.Index(
                        condition=models.Q(("dispatched_at__isnull", True)),
                        fields=["created_at"],
                        name="audit_outboxevent_to_dispatch",
                    ),
                    models.Index(
                        fields=["subject_type", "subject_id", "created_at"],
                        name="audit_outboxevent_by_subject",
                    ),
                    models.Index(fields=["kind", "created_at"], name="audit_outboxevent_by_kind"),
                    models.Index(
                        fields=["organization_id", "created_at"], name="audit_outboxevent_by_org"
                    ),
                    models.Index(
                        condition=models.Q(("error", ""), _negated=True),
                        fields=["created_at"],
                        name="audit_outboxevent_with_error",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("organization_id", models.UUIDField(null=True, verbose_name="organisation")),
                ("channel", models.CharField(max_length=20, verbose_name="channel")),
                ("address", models.CharField(max_length=320, verbose_name="to")),
                (
                    "language",
                    models.CharField(
                        blank=True, default="", max_length=12, verbose_name="language"
                    ),
                ),
                (
                    "time_zone",
                    models.CharField(
                        blank=True, default="", max_length=64, verbose_name="time zone"
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("queued", "queued"),
                            ("sending", "sending"),
                            ("failed", "failed, retry due"),
                            ("delivered", "delivered"),
                            ("dead", "given up"),
                            ("cancelled", "cancelled"),
                        ],
                        default="queued",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0, verbose_name="attempts")),
                (
                    "max_attempts",
                    models.PositiveSmallIntegerField(default=12, verbose_name="of at most"),
                ),
                (
                    "next_attempt_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        verbose_name="next attempt at",
                    ),
                ),
                (
                    "last_error",
                    models.CharField(
                        blank=True, default="", max_length=300, verbose_name="last error"
                    ),
                ),
                ("delivered_at", models.DateTimeField(null=True, verbose_name="delivered at")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        verbose_name="created at",
                    ),
                ),
                (
                    "queued_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        help_text="When this budget of attempts began: at its creation, or when it was resent.",
                        verbose_name="queued at",
                    ),
                ),
                (
                    "event",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="audit.outboxevent",
                    ),
                ),
            ],
            options={
                "verbose_name": "delivery",
                "verbose_name_plural": "deliveries",
                "ordering": ("-created_at", "-id"),
                "indexes": [
                    models.Index(
                        condition=models.Q(("status__in", ["queued", "sending", "failed"])),
                        fields=["next_attempt_at"],
                        name="audit_delivery_due",
                    ),
                    models.Index(
                        condition=models.Q(("status", "dead")),
                        fields=["created_at"],
                        name="audit_delivery_dead",
                    ),
                    models.Index(
                        fields=["organization_id", "created_at"], name="audit_delivery_by_org"
                    ),
                    models.Index(fields=["created_at"], name="audit_delivery_by_time"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("event", "channel", "address"),
                        name="audit_delivery_once_per_address",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "status__in",
                                ["queued", "sending", "failed", "delivered", "dead", "cancelled"],
                            )
                        ),
                        name="audit_delivery_status_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status", "delivered"), _negated=True),
                            ("delivered_at__isnull", False),
                            _connector="OR",
                        ),
                        name="audit_delivery_delivered_says_when",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("attempts__lte", models.F("max_attempts"))),
                        name="audit_delivery_attempts_within_budget",
                    ),
                ],
            },
        ),
    ]
