"""Everything about bookings, with constraints, indexes and triggers inside of their tables.

One operation for each model: Django renders every model again for each operation, which took ten
times as long when these were seven hundred. Databases that have all of what this replaces are done.
"""

import audit.ids
import bookings.models.booking
import bookings.models.organization
import django.contrib.postgres.constraints
import django.contrib.postgres.fields
import django.contrib.postgres.fields.ranges
import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.text
import django.utils.timezone
import pgtrigger.compiler
import phonenumber_field.modelfields
import simple_history.models
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("bookings", "0001_initial"),
        ("bookings", "0002_schedules"),
        ("bookings", "0003_line"),
        ("bookings", "0004_guards"),
        ("bookings", "0005_times"),
        ("bookings", "0006_desk"),
        ("bookings", "0007_terms"),
        ("bookings", "0008_opened"),
        ("bookings", "0009_no_show_minutes"),
        ("bookings", "0010_reinstate"),
    ]

    initial = True

    dependencies = [
        ("audit", "0001_functions"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.RunSQL(
            sql="CREATE SEQUENCE bookings_resource_number",
            reverse_sql="DROP SEQUENCE bookings_resource_number",
        ),
        migrations.CreateModel(
            name="Organization",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "slug",
                    models.SlugField(
                        max_length=60, unique=True, verbose_name="short name in addresses"
                    ),
                ),
                (
                    "time_zone",
                    models.CharField(
                        default="UTC",
                        max_length=60,
                        validators=[bookings.models.organization.validate_time_zone],
                        verbose_name="time zone",
                    ),
                ),
                (
                    "email",
                    models.EmailField(blank=True, max_length=254, verbose_name="contact e-mail"),
                ),
                (
                    "hold_minutes",
                    models.PositiveSmallIntegerField(
                        default=15,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="minutes a cart holds seats",
                    ),
                ),
                (
                    "pending_hours",
                    models.PositiveSmallIntegerField(
                        default=24,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="hours until an unpaid booking expires",
                    ),
                ),
                (
                    "proposal_hours",
                    models.PositiveSmallIntegerField(
                        default=48,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="hours to answer a proposed time",
                    ),
                ),
                (
                    "no_show_minutes",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        default=60,
                        help_text="Empty: only the staff mark somebody as a no-show.",
                        null=True,
                        validators=[
                            django.core.validators.MaxValueValidator(
                                1440,
                                "At most %(limit_value)s minutes, which is a day. Empty: only the staff mark somebody.",
                            )
                        ],
                        verbose_name="minutes after the end until who did not come is a no-show",
                    ),
                ),
                (
                    "no_show_limit",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Staff can still book for them, with a reason. Empty: no limit.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="no-shows after which customers cannot book themselves",
                    ),
                ),
                (
                    "no_show_days",
                    models.PositiveSmallIntegerField(
                        default=365,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="days for which a no-show counts",
                    ),
                ),
                (
                    "reminder_hours",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveSmallIntegerField(
                            validators=[
                                django.core.validators.MinValueValidator(1),
                                django.core.validators.MaxValueValidator(720),
                            ]
                        ),
                        blank=True,
                        default=bookings.models.organization.default_reminders,
                        help_text="Separated by commas, such as 24,2. Empty: nobody is reminded.",
                        size=5,
                        validators=[bookings.models.organization.validate_reminders],
                        verbose_name="hours before the start at which customers are reminded",
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name": "organisation",
                "verbose_name_plural": "organisations",
                "ordering": ["name"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("hold_minutes__gte", 1)),
                        name="bookings_organization_holds_last_a_minute",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("pending_hours__gte", 1)),
                        name="bookings_organization_pending_lasts_an_hour",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("proposal_hours__gte", 1)),
                        name="bookings_organization_proposals_last_an_hour",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("no_show_limit__isnull", True),
                                ("no_show_limit__gte", 1),
                                _connector="OR",
                            ),
                            ("no_show_days__gte", 1),
                        ),
                        name="bookings_organization_no_shows_count",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("no_show_minutes__isnull", True),
                            ("no_show_minutes__lte", 1440),
                            _connector="OR",
                        ),
                        name="bookings_organization_no_shows_are_marked_within_a_day",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("reminder_hours__len__lte", 5),
                            models.Q(("reminder_hours__contains", [0]), _negated=True),
                        ),
                        name="bookings_organization_reminders_are_few",
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalorganization" ("id", "name", "slug", "time_zone", "email", "hold_minutes", "pending_hours", "proposal_hours", "no_show_minutes", "no_show_limit", "no_show_days", "reminder_hours", "is_active", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."name", n."slug", n."time_zone", n."email", n."hold_minutes", n."pending_hours", n."proposal_hours", n."no_show_minutes", n."no_show_limit", n."no_show_days", n."reminder_hours", n."is_active", n."created_at", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="76eda52db8dc4bee17ef779ac0777e50970fa734",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_77748",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_organization",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalorganization" ("id", "name", "slug", "time_zone", "email", "hold_minutes", "pending_hours", "proposal_hours", "no_show_minutes", "no_show_limit", "no_show_days", "reminder_hours", "is_active", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."name", n."slug", n."time_zone", n."email", n."hold_minutes", n."pending_hours", n."proposal_hours", n."no_show_minutes", n."no_show_limit", n."no_show_days", n."reminder_hours", n."is_active", n."created_at", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."name", n."slug", n."time_zone", n."email", n."hold_minutes", n."pending_hours", n."proposal_hours", n."no_show_minutes", n."no_show_limit", n."no_show_days", n."reminder_hours", n."is_active", n."created_at") IS DISTINCT FROM ROW(o."id", o."name", o."slug", o."time_zone", o."email", o."hold_minutes", o."pending_hours", o."proposal_hours", o."no_show_minutes", o."no_show_limit", o."no_show_days", o."reminder_hours", o."is_active", o."created_at"); RETURN NULL;',
                            hash="c2847d3045b804b1728acfa44b034acc7d990470",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_149cf",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="bookings_organization",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalorganization" ("id", "name", "slug", "time_zone", "email", "hold_minutes", "pending_hours", "proposal_hours", "no_show_minutes", "no_show_limit", "no_show_days", "reminder_hours", "is_active", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."name", o."slug", o."time_zone", o."email", o."hold_minutes", o."pending_hours", o."proposal_hours", o."no_show_minutes", o."no_show_limit", o."no_show_days", o."reminder_hours", o."is_active", o."created_at", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="8c12c8a77f581246ddef3cc02285b672cc72846e",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_f85c5",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="bookings_organization",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Pool",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="pools",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
            ],
            options={
                "verbose_name": "pool",
                "verbose_name_plural": "pools",
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization", "name"), name="bookings_pool_name_is_unique"
                    )
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="stay_in_organization",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."organization_id" IS DISTINCT FROM (NEW."organization_id"))',
                            func="\n            RAISE EXCEPTION 'bookings_pool % stays with whom it belongs to', OLD.id USING\n                ERRCODE = 'check_violation', CONSTRAINT = 'bookings_pool_stays_in_its_organization';\n        ",
                            hash="f618ff01fcfba79da741ac7886f8a022e97fe974",
                            operation="UPDATE",
                            pgid="pgtrigger_stay_in_organization_6d913",
                            table="bookings_pool",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalpool" ("id", "organization_id", "name", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."name", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="3034c2166b3c79f7534caf8ec0b8eeba5259c06d",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_410d9",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_pool",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalpool" ("id", "organization_id", "name", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."name", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."name") IS DISTINCT FROM ROW(o."id", o."organization_id", o."name"); RETURN NULL;',
                            hash="e088c08f35a98f9f762083a1b2d495a00419d81b",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_8970b",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="bookings_pool",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalpool" ("id", "organization_id", "name", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."name", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="b4dac8d976a1a681ed19cdf2c25b74249e27b609",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_6b5c1",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="bookings_pool",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                ("password", models.CharField(max_length=128, verbose_name="password")),
                (
                    "last_login",
                    models.DateTimeField(blank=True, null=True, verbose_name="last login"),
                ),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "email",
                    models.EmailField(max_length=254, unique=True, verbose_name="e-mail address"),
                ),
                ("name", models.CharField(blank=True, max_length=200, verbose_name="name")),
                (
                    "language",
                    models.CharField(default="en", max_length=10, verbose_name="language"),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                (
                    "is_staff",
                    models.BooleanField(default=False, verbose_name="may sign in to the admin"),
                ),
                (
                    "date_joined",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "password_changed_at",
                    models.DateTimeField(blank=True, editable=False, null=True),
                ),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "verbose_name": "user",
                "verbose_name_plural": "users",
                "ordering": ["email"],
                "constraints": [
                    models.UniqueConstraint(
                        django.db.models.functions.text.Lower("email"),
                        name="bookings_user_email_is_unique",
                    )
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicaluser" ("is_superuser", "id", "email", "name", "language", "is_active", "is_staff", "date_joined", "password_changed_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."is_superuser", n."id", n."email", n."name", n."language", n."is_active", n."is_staff", n."date_joined", n."password_changed_at", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="06e089fd3c2baae4c03db2343bbcfab2b22ee7b4",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_982be",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_user",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicaluser" ("is_superuser", "id", "email", "name", "language", "is_active", "is_staff", "date_joined", "password_changed_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."is_superuser", n."id", n."email", n."name", n."language", n."is_active", n."is_staff", n."date_joined", n."password_changed_at", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."is_superuser", n."id", n."email", n."name", n."language", n."is_active", n."is_staff", n."date_joined", n."password_changed_at") IS DISTINCT FROM ROW(o."is_superuser", o."id", o."email", o."name", o."language", o."is_active", o."is_staff", o."date_joined", o."password_changed_at"); RETURN NULL;',
                            hash="47c9f602c600d894acb177745c630b48eb00ea20",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_68550",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="bookings_user",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicaluser" ("is_superuser", "id", "email", "name", "language", "is_active", "is_staff", "date_joined", "password_changed_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."is_superuser", o."id", o."email", o."name", o."language", o."is_active", o."is_staff", o."date_joined", o."password_changed_at", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="911bbd5630dff93ce8de73f222096261c2a19d30",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_872d5",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="bookings_user",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("owner", "owner"),
                            ("manager", "manager"),
                            ("reviewer", "reviewer"),
                            ("front_desk", "front desk"),
                            ("provider", "provider"),
                        ],
                        max_length=20,
                        verbose_name="role",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
            ],
            options={
                "verbose_name": "staff member",
                "verbose_name_plural": "staff members",
                "ordering": ["organization", "user"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "organization"),
                        name="bookings_membership_one_role_per_person",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("role__in", ["owner", "manager", "reviewer", "front_desk", "provider"])
                        ),
                        name="bookings_membership_role_is_known",
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalmembership" ("id", "organization_id", "user_id", "role", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."user_id", n."role", n."created_at", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="30e44a40436af04be839dfc6259ffeba70893230",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_33ad0",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_membership",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalmembership" ("id", "organization_id", "user_id", "role", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."user_id", n."role", n."created_at", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."user_id", n."role", n."created_at") IS DISTINCT FROM ROW(o."id", o."organization_id", o."user_id", o."role", o."created_at"); RETURN NULL;',
                            hash="978e261493146c9c4fce4c4fce604c16fe7c5aa8",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_e8210",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="bookings_membership",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalmembership" ("id", "organization_id", "user_id", "role", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."user_id", o."role", o."created_at", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="06aef73365b7e6c42b799c382236d30cd38c6391",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_7f888",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="bookings_membership",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Customer",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "email",
                    models.EmailField(blank=True, max_length=254, verbose_name="e-mail address"),
                ),
                (
                    "phone",
                    phonenumber_field.modelfields.PhoneNumberField(
                        blank=True, max_length=128, region=None, verbose_name="phone"
                    ),
                ),
                (
                    "language",
                    models.CharField(default="en", max_length=10, verbose_name="language"),
                ),
                (
                    "time_zone",
                    models.CharField(
                        blank=True,
                        help_text="Empty: the organisation's.",
                        max_length=60,
                        validators=[bookings.models.organization.validate_time_zone],
                        verbose_name="time zone",
                    ),
                ),
                ("notes", models.TextField(blank=True, verbose_name="notes of the staff")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="customers",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="account",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="customers",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
            ],
            options={
                "verbose_name": "customer",
                "verbose_name_plural": "customers",
                "ordering": ["name"],
                "indexes": [
                    models.Index(
                        fields=["organization", "name"], name="bookings_cu_organiz_2e7c17_idx"
                    ),
                    models.Index(
                        models.F("organization"),
                        django.db.models.functions.text.Lower("email"),
                        condition=models.Q(("email", ""), _negated=True),
                        name="bookings_customers_by_email",
                    ),
                    models.Index(
                        condition=models.Q(("phone", ""), _negated=True),
                        fields=["organization", "phone"],
                        name="bookings_customers_by_phone",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("user__isnull", False)),
                        fields=("user", "organization"),
                        name="bookings_customer_one_per_account",
                    )
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="stay_in_organization",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."organization_id" IS DISTINCT FROM (NEW."organization_id"))',
                            func="\n            RAISE EXCEPTION 'bookings_customer % stays with whom it belongs to', OLD.id USING\n                ERRCODE = 'check_violation', CONSTRAINT = 'bookings_customer_stays_in_its_organization';\n        ",
                            hash="7acd54665047525c06cfc13b4c0f1942383a9bd0",
                            operation="UPDATE",
                            pgid="pgtrigger_stay_in_organization_9ebe4",
                            table="bookings_customer",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalcustomer" ("id", "organization_id", "user_id", "name", "email", "phone", "language", "time_zone", "notes", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."user_id", n."name", n."email", n."phone", n."language", n."time_zone", n."notes", n."created_at", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="4e58d3989f51f4f88d23f0cb3ed147747efb881f",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_ffe4d",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_customer",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalcustomer" ("id", "organization_id", "user_id", "name", "email", "phone", "language", "time_zone", "notes", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."user_id", n."name", n."email", n."phone", n."language", n."time_zone", n."notes", n."created_at", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."user_id", n."name", n."email", n."phone", n."language", n."time_zone", n."notes", n."created_at") IS DISTINCT FROM ROW(o."id", o."organization_id", o."user_id", o."name", o."email", o."phone", o."language", o."time_zone", o."notes", o."created_at"); RETURN NULL;',
                            hash="3e74e2d130da881d9fc0fe802963b008f8e87087",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_e93b6",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="bookings_customer",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalcustomer" ("id", "organization_id", "user_id", "name", "email", "phone", "language", "time_zone", "notes", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."user_id", o."name", o."email", o."phone", o."language", o."time_zone", o."notes", o."created_at", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="eea3c8087846c65039672791dd821c2ff28237aa",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_cb784",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="bookings_customer",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Resource",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "number",
                    models.BigIntegerField(
                        db_default=models.Func(
                            models.Value("bookings_resource_number"),
                            function="nextval",
                            output_field=models.BigIntegerField(),
                        ),
                        editable=False,
                        unique=True,
                    ),
                ),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("place", "place"),
                            ("person", "person"),
                            ("activity", "activity"),
                        ],
                        default="place",
                        max_length=20,
                        verbose_name="kind",
                    ),
                ),
                ("description", models.TextField(blank=True, verbose_name="description")),
                (
                    "time_zone",
                    models.CharField(
                        default="UTC",
                        max_length=60,
                        validators=[bookings.models.organization.validate_time_zone],
                        verbose_name="time zone",
                    ),
                ),
                (
                    "exclusive",
                    models.BooleanField(
                        default=True,
                        help_text="At most one booking at a time, like a court or a doctor.",
                        verbose_name="exclusive",
                    ),
                ),
                (
                    "buffer_before_minutes",
                    models.PositiveSmallIntegerField(
                        default=0, verbose_name="minutes kept free before"
                    ),
                ),
                (
                    "buffer_after_minutes",
                    models.PositiveSmallIntegerField(
                        default=0, verbose_name="minutes kept free after"
                    ),
                ),
                (
                    "parts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), default=list, editable=False, size=None
                    ),
                ),
                (
                    "pools",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), default=list, editable=False, size=None
                    ),
                ),
                (
                    "mode",
                    models.CharField(
                        choices=[
                            ("slots", "in fixed slots"),
                            ("free_times", "from any time, for as long as wanted"),
                        ],
                        default="slots",
                        max_length=12,
                        verbose_name="booked",
                    ),
                ),
                (
                    "notice_minutes",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="How long before the start customers may still book.",
                        verbose_name="notice in minutes",
                    ),
                ),
                (
                    "horizon_days",
                    models.PositiveSmallIntegerField(
                        default=365,
                        help_text="How far ahead slots are made and customers may book.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(730),
                        ],
                        verbose_name="days ahead",
                    ),
                ),
                (
                    "grid_minutes",
                    models.PositiveSmallIntegerField(
                        default=15,
                        help_text="Where times are free: a booking may start this often.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1440),
                        ],
                        verbose_name="starts every (minutes)",
                    ),
                ),
                (
                    "shortest_minutes",
                    models.PositiveSmallIntegerField(
                        default=15,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="shortest booking in minutes",
                    ),
                ),
                (
                    "longest_minutes",
                    models.PositiveSmallIntegerField(
                        default=240,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="longest booking in minutes",
                    ),
                ),
                (
                    "most_live_bookings",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Of this, and not over yet. Empty: no limit.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="most bookings of one customer at a time",
                    ),
                ),
                (
                    "cancel_until_minutes",
                    models.PositiveIntegerField(
                        default=0, verbose_name="customers may cancel until (minutes before)"
                    ),
                ),
                (
                    "customers_may_cancel",
                    models.BooleanField(
                        db_default=True,
                        default=True,
                        help_text="If not, only the staff cancel what is confirmed.",
                        verbose_name="customers may cancel",
                    ),
                ),
                (
                    "reschedule_until_minutes",
                    models.PositiveIntegerField(
                        default=0, verbose_name="customers may reschedule until (minutes before)"
                    ),
                ),
                (
                    "needs_approval",
                    models.BooleanField(
                        default=False,
                        help_text="Staff confirm each booking, even what is free or paid on arrival.",
                        verbose_name="needs approval",
                    ),
                ),
                (
                    "observes_holidays",
                    models.BooleanField(default=True, verbose_name="closed on holidays"),
                ),
                (
                    "takes_waitlist",
                    models.BooleanField(
                        default=True,
                        help_text="Customers can wait in line for what is full.",
                        verbose_name="has a waitlist",
                    ),
                ),
                ("line", models.PositiveIntegerField(db_default=0, default=0, editable=False)),
                ("planned_at", models.DateTimeField(editable=False, null=True)),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="resources",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "provider",
                    models.ForeignKey(
                        blank=True,
                        help_text="The staff member whose calendar this is.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="provided_resources",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="provider",
                    ),
                ),
            ],
            options={
                "verbose_name": "resource",
                "verbose_name_plural": "resources",
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization", "name"), name="bookings_resource_name_is_unique"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["place", "person", "activity"])),
                        name="bookings_resource_kind_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("mode", "slots"),
                            models.Q(("exclusive", True), ("mode", "free_times")),
                            _connector="OR",
                        ),
                        name="bookings_resource_of_free_times_is_exclusive",
                        violation_error_message="Only what is exclusive can be booked at free times.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("grid_minutes__gte", 1),
                            ("grid_minutes__lte", 1440),
                            ("horizon_days__gte", 1),
                            ("horizon_days__lte", 730),
                            ("longest_minutes__gte", models.F("shortest_minutes")),
                            ("shortest_minutes__gte", 1),
                            models.Q(
                                ("most_live_bookings__isnull", True),
                                ("most_live_bookings__gte", 1),
                                _connector="OR",
                            ),
                        ),
                        name="bookings_resource_rules_make_sense",
                        violation_error_message="The longest booking is at least the shortest.",
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="keep_exclusive",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."exclusive" IS DISTINCT FROM (NEW."exclusive") OR OLD."organization_id" IS DISTINCT FROM (NEW."organization_id"))',
                            func="\n                    IF EXISTS (SELECT 1 FROM bookings_slot WHERE resource_id = OLD.id)\n                       OR EXISTS (SELECT 1 FROM bookings_resourcepart WHERE part_id = OLD.id)\n                       OR EXISTS (SELECT 1 FROM bookings_poolmember WHERE resource_id = OLD.id)\n                       OR NEW.organization_id <> OLD.organization_id\n                          AND (OLD.parts <> '{}' OR OLD.pools <> '{}') THEN\n                        RAISE EXCEPTION 'resource % has slots', OLD.id USING\n                            ERRCODE = 'check_violation',\n                            CONSTRAINT = 'bookings_resource_with_slots_keeps_its_kind';\n                    END IF;\n                    RETURN NEW;\n                ",
                            hash="b321067dad4059f78a9cf89ba2ea6d4cfe6ae7da",
                            operation="UPDATE",
                            pgid="pgtrigger_keep_exclusive_1c70f",
                            table="bookings_resource",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="begin_single",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition="WHEN (NEW.parts <> '{}' OR NEW.pools <> '{}')",
                            func="\n    RAISE EXCEPTION 'the parts and pools of resource % are those of its links', NEW.id USING\n        ERRCODE = 'check_violation', CONSTRAINT = 'bookings_resource_takes_what_its_links_say';\n",
                            hash="ad3cff9987eb79dda0587c9aeca7b6ae963df7b3",
                            operation="INSERT",
                            pgid="pgtrigger_begin_single_c750b",
                            table="bookings_resource",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="follow_links",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."parts" IS DISTINCT FROM (NEW."parts") OR OLD."pools" IS DISTINCT FROM (NEW."pools"))',
                            func="IF pg_trigger_depth() < 2 THEN \n    RAISE EXCEPTION 'the parts and pools of resource % are those of its links', NEW.id USING\n        ERRCODE = 'check_violation', CONSTRAINT = 'bookings_resource_takes_what_its_links_say';\n END IF; RETURN NEW;",
                            hash="a1276623af0cd224f1e5cee772c36b5890fbccb5",
                            operation="UPDATE",
                            pgid="pgtrigger_follow_links_567ff",
                            table="bookings_resource",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="keep_number",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."number" IS DISTINCT FROM (NEW."number"))',
                            func="\n                    RAISE EXCEPTION 'what takes resource % knows it by its number', OLD.id USING\n                        ERRCODE = 'check_violation',\n                        CONSTRAINT = 'bookings_resource_keeps_its_number';\n                ",
                            hash="43ebda1ded51dcc6e2a6528fd0720c6b82681355",
                            operation="UPDATE",
                            pgid="pgtrigger_keep_number_24724",
                            table="bookings_resource",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalresource" ("id", "number", "organization_id", "name", "kind", "description", "time_zone", "exclusive", "provider_id", "buffer_before_minutes", "buffer_after_minutes", "parts", "pools", "mode", "notice_minutes", "horizon_days", "grid_minutes", "shortest_minutes", "longest_minutes", "most_live_bookings", "cancel_until_minutes", "customers_may_cancel", "reschedule_until_minutes", "needs_approval", "observes_holidays", "takes_waitlist", "is_active", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."number", n."organization_id", n."name", n."kind", n."description", n."time_zone", n."exclusive", n."provider_id", n."buffer_before_minutes", n."buffer_after_minutes", n."parts", n."pools", n."mode", n."notice_minutes", n."horizon_days", n."grid_minutes", n."shortest_minutes", n."longest_minutes", n."most_live_bookings", n."cancel_until_minutes", n."customers_may_cancel", n."reschedule_until_minutes", n."needs_approval", n."observes_holidays", n."takes_waitlist", n."is_active", n."created_at", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="3b08521c07f6981912e9f299021f5d956a082c47",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_17633",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_resource",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalresource" ("id", "number", "organization_id", "name", "kind", "description", "time_zone", "exclusive", "provider_id", "buffer_before_minutes", "buffer_after_minutes", "parts", "pools", "mode", "notice_minutes", "horizon_days", "grid_minutes", "shortest_minutes", "longest_minutes", "most_live_bookings", "cancel_until_minutes", "customers_may_cancel", "reschedule_until_minutes", "needs_approval", "observes_holidays", "takes_waitlist", "is_active", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."number", n."organization_id", n."name", n."kind", n."description", n."time_zone", n."exclusive", n."provider_id", n."buffer_before_minutes", n."buffer_after_minutes", n."parts", n."pools", n."mode", n."notice_minutes", n."horizon_days", n."grid_minutes", n."shortest_minutes", n."longest_minutes", n."most_live_bookings", n."cancel_until_minutes", n."customers_may_cancel", n."reschedule_until_minutes", n."needs_approval", n."observes_holidays", n."takes_waitlist", n."is_active", n."created_at", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."number", n."organization_id", n."name", n."kind", n."description", n."time_zone", n."exclusive", n."provider_id", n."buffer_before_minutes", n."buffer_after_minutes", n."parts", n."pools", n."mode", n."notice_minutes", n."horizon_days", n."grid_minutes", n."shortest_minutes", n."longest_minutes", n."most_live_bookings", n."cancel_until_minutes", n."customers_may_cancel", n."reschedule_until_minutes", n."needs_approval", n."observes_holidays", n."takes_waitlist", n."is_active", n."created_at") IS DISTINCT FROM ROW(o."id", o."number", o."organization_id", o."name", o."kind", o."description", o."time_zone", o."exclusive", o."provider_id", o."buffer_before_minutes", o."buffer_after_minutes", o."parts", o."pools", o."mode", o."notice_minutes", o."horizon_days", o."grid_minutes", o."shortest_minutes", o."longest_minutes", o."most_live_bookings", o."cancel_until_minutes", o."customers_may_cancel", o."reschedule_until_minutes", o."needs_approval", o."observes_holidays", o."takes_waitlist", o."is_active", o."created_at"); RETURN NULL;',
                            hash="7a8d088e9b79dee89f3725fc56788cb29cbca5e3",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_8da70",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="bookings_resource",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalresource" ("id", "number", "organization_id", "name", "kind", "description", "time_zone", "exclusive", "provider_id", "buffer_before_minutes", "buffer_after_minutes", "parts", "pools", "mode", "notice_minutes", "horizon_days", "grid_minutes", "shortest_minutes", "longest_minutes", "most_live_bookings", "cancel_until_minutes", "customers_may_cancel", "reschedule_until_minutes", "needs_approval", "observes_holidays", "takes_waitlist", "is_active", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."number", o."organization_id", o."name", o."kind", o."description", o."time_zone", o."exclusive", o."provider_id", o."buffer_before_minutes", o."buffer_after_minutes", o."parts", o."pools", o."mode", o."notice_minutes", o."horizon_days", o."grid_minutes", o."shortest_minutes", o."longest_minutes", o."most_live_bookings", o."cancel_until_minutes", o."customers_may_cancel", o."reschedule_until_minutes", o."needs_approval", o."observes_holidays", o."takes_waitlist", o."is_active", o."created_at", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="c738b456e41b9f66374a8081be6be590a71d10e9",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_c154b",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="bookings_resource",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Slot",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("starts_at", models.DateTimeField(verbose_name="starts at")),
                ("ends_at", models.DateTimeField(verbose_name="ends at")),
                ("busy_from", models.DateTimeField(editable=False)),
                ("busy_until", models.DateTimeField(editable=False)),
                ("exclusive", models.BooleanField(editable=False)),
                (
                    "max_bookings",
                    models.PositiveIntegerField(
                        default=1,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="most bookings",
                    ),
                ),
                (
                    "max_units",
                    models.PositiveIntegerField(
                        default=1,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="most people",
                    ),
                ),
                (
                    "taken_bookings",
                    models.PositiveIntegerField(default=0, editable=False, verbose_name="bookings"),
                ),
                (
                    "taken_units",
                    models.PositiveIntegerField(default=0, editable=False, verbose_name="people"),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("open", "open"), ("closed", "closed"), ("legacy", "legacy")],
                        default="open",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("hand", "by hand"),
                            ("schedule", "by the schedule"),
                            ("free", "with a booking"),
                        ],
                        default="hand",
                        editable=False,
                        max_length=10,
                        verbose_name="made",
                    ),
                ),
                (
                    "parts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), default=list, editable=False, size=None
                    ),
                ),
                (
                    "pools",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), default=list, editable=False, size=None
                    ),
                ),
                (
                    "picked",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), default=list, editable=False, size=None
                    ),
                ),
                ("line_units", models.PositiveIntegerField(editable=False, null=True)),
                (
                    "waited_for",
                    models.BooleanField(db_default=False, default=False, editable=False),
                ),
                (
                    "stays_closed",
                    models.BooleanField(db_default=False, default=False, editable=False),
                ),
                (
                    "limits_by_hand",
                    models.BooleanField(db_default=False, default=False, editable=False),
                ),
                ("shut", models.BooleanField(db_default=False, default=False, editable=False)),
                ("opened_at", models.DateTimeField(editable=False, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "resource",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="slots",
                        to="bookings.resource",
                    ),
                ),
            ],
            options={
                "verbose_name": "slot",
                "verbose_name_plural": "slots",
                "ordering": ["starts_at", "id"],
                "indexes": [
                    models.Index(
                        fields=["organization", "starts_at", "id"],
                        name="bookings_sl_organiz_c431be_idx",
                    ),
                    models.Index(
                        fields=["resource", "starts_at"], name="bookings_sl_resourc_e562ca_idx"
                    ),
                    models.Index(fields=["ends_at"], name="bookings_slot_by_end"),
                    models.Index(
                        condition=models.Q(("line_units__isnull", False)),
                        fields=["organization", "starts_at"],
                        name="bookings_slots_with_a_line",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("ends_at__gt", models.F("starts_at"))),
                        name="bookings_slot_ends_after_it_starts",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("busy_from__lte", models.F("starts_at")),
                            ("busy_until__gte", models.F("ends_at")),
                        ),
                        name="bookings_slot_buffers_surround_it",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("taken_bookings__lte", models.F("max_bookings"))),
                        name="bookings_slot_bookings_within_capacity",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("taken_units__lte", models.F("max_units"))),
                        name="bookings_slot_units_within_capacity",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("max_bookings__gte", 1), ("max_units__gte", 1)),
                        name="bookings_slot_has_a_capacity",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("exclusive", False), ("max_bookings", 1), _connector="OR"
                        ),
                        name="bookings_slot_of_exclusive_takes_one",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["open", "closed", "legacy"])),
                        name="bookings_slot_status_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("source__in", ["hand", "schedule", "free"])),
                        name="bookings_slot_source_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("taken_bookings", 0),
                            ("picked__len", models.Func(models.F("pools"), function="cardinality")),
                            _connector="OR",
                        ),
                        name="bookings_slot_with_people_has_what_it_needs",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("stays_closed", False), ("status", "legacy"), _connector="OR"
                        ),
                        name="bookings_slot_that_comes_back_closed_is_legacy",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("limits_by_hand", False), ("source", "schedule"), _connector="OR"
                        ),
                        name="bookings_slot_follows_a_schedule_or_none",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("opened_at__isnull", True), ("source", "hand"), _connector="OR"
                        ),
                        name="bookings_slot_opened_by_hand_was_made_by_hand",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("status", "legacy"), _negated=True),
                        fields=("resource", "starts_at", "ends_at"),
                        name="bookings_slot_offered_once",
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="follow_lifecycle",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."status" IS DISTINCT FROM (NEW."status"))',
                            func="IF (OLD.\"status\" || ':' || NEW.\"status\") <> ALL (ARRAY['closed:legacy', 'closed:open', 'legacy:closed', 'legacy:open', 'open:closed', 'open:legacy']) THEN RAISE EXCEPTION '% cannot become % on bookings_slot %', OLD.\"status\", NEW.\"status\", OLD.\"id\" USING ERRCODE = 'check_violation', CONSTRAINT = 'bookings_slot_status_follows_lifecycle'; END IF; RETURN NEW;",
                            hash="c7da2138a4213aaef6840d3de3b73d95731f1ba0",
                            operation="UPDATE",
                            pgid="pgtrigger_follow_lifecycle_b6668",
                            table="bookings_slot",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="match_resource",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func="\n                    -- Not while somebody makes the resource exclusive, or puts it together anew.\n                    PERFORM 1 FROM bookings_resource\n                    WHERE id IN (SELECT resource_id FROM new_rows) ORDER BY id FOR SHARE;\n                    IF EXISTS (\n                        SELECT 1 FROM new_rows n JOIN bookings_resource r ON r.id = n.resource_id\n                        WHERE r.exclusive <> n.exclusive OR r.organization_id <> n.organization_id\n                           OR r.parts <> n.parts OR r.pools <> n.pools\n                    ) THEN\n                        RAISE EXCEPTION 'a slot differs from its resource' USING\n                            ERRCODE = 'check_violation',\n                            CONSTRAINT = 'bookings_slot_matches_its_resource';\n                    END IF;\n                    RETURN NULL;\n                ",
                            hash="bd5ad538a2911c8d62ad258c1744bd1a1b8e638d",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_match_resource_7025a",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_slot",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="keep_promises",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."busy_from" IS DISTINCT FROM (NEW."busy_from") OR OLD."busy_until" IS DISTINCT FROM (NEW."busy_until") OR OLD."ends_at" IS DISTINCT FROM (NEW."ends_at") OR OLD."exclusive" IS DISTINCT FROM (NEW."exclusive") OR OLD."organization_id" IS DISTINCT FROM (NEW."organization_id") OR OLD."picked" IS DISTINCT FROM (NEW."picked") OR OLD."resource_id" IS DISTINCT FROM (NEW."resource_id") OR OLD."starts_at" IS DISTINCT FROM (NEW."starts_at"))',
                            func="\n                    IF NEW.resource_id <> OLD.resource_id OR NEW.exclusive <> OLD.exclusive\n                       OR NEW.organization_id <> OLD.organization_id\n                       OR NEW.taken_bookings > 0 AND NOT (\n                           NEW.pools <> OLD.pools\n                           AND ROW(NEW.starts_at, NEW.ends_at, NEW.busy_from, NEW.busy_until)\n                             = ROW(OLD.starts_at, OLD.ends_at, OLD.busy_from, OLD.busy_until)\n                       ) THEN\n                        RAISE EXCEPTION 'slot % has people in it', OLD.id USING\n                            ERRCODE = 'check_violation',\n                            CONSTRAINT = 'bookings_slot_with_people_keeps_its_time';\n                    END IF;\n                    RETURN NEW;\n                ",
                            hash="dc303c48126c4f22cca108c6354053c351961154",
                            operation="UPDATE",
                            pgid="pgtrigger_keep_promises_c0c58",
                            table="bookings_slot",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="match_composition",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."parts" IS DISTINCT FROM (NEW."parts") OR OLD."pools" IS DISTINCT FROM (NEW."pools"))',
                            func="\n                    -- Not while somebody puts the resource together anew.\n                    PERFORM 1 FROM bookings_resource WHERE id = NEW.resource_id FOR SHARE;\n                    IF NOT EXISTS (\n                        SELECT 1 FROM bookings_resource r WHERE r.id = NEW.resource_id\n                        AND r.parts = NEW.parts AND r.pools = NEW.pools\n                    ) THEN\n                        RAISE EXCEPTION 'slot % differs from its resource', NEW.id USING\n                            ERRCODE = 'check_violation',\n                            CONSTRAINT = 'bookings_slot_matches_its_resource';\n                    END IF;\n                    RETURN NEW;\n                ",
                            hash="402e3468e1e09c23974d362447709a838e3e6a0b",
                            operation="UPDATE",
                            pgid="pgtrigger_match_composition_ecd4b",
                            table="bookings_slot",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="pick_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition="WHEN (NEW.picked <> '{}')",
                            func="\n    PERFORM 1 FROM bookings_poolmember m JOIN bookings_resource r ON r.id = m.resource_id\n    WHERE m.pool_id = ANY (NEW.pools) AND r.number = ANY (NEW.picked)\n    ORDER BY m.id FOR SHARE OF m;\n    IF cardinality(NEW.picked) <> cardinality(NEW.pools)\n       OR cardinality(NEW.picked) <> (SELECT count(DISTINCT n) FROM unnest(NEW.picked) AS n)\n       OR EXISTS (\n           SELECT 1 FROM unnest(NEW.pools, NEW.picked) AS given (pool_id, number)\n           WHERE NOT EXISTS (\n               SELECT 1 FROM bookings_poolmember m JOIN bookings_resource r ON r.id = m.resource_id\n               WHERE m.pool_id = given.pool_id AND r.number = given.number\n           )\n       ) THEN\n        RAISE EXCEPTION 'what is picked for slot % is not in its pools', NEW.id USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_slot_picked_is_in_its_pools';\n    END IF;\n    RETURN NEW;\n",
                            hash="4ba5937a31dd2d0655541f71d7f73db637f0a8ed",
                            operation="INSERT",
                            pgid="pgtrigger_pick_insert_3510f",
                            table="bookings_slot",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="pick_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition="WHEN (NEW.picked <> '{}' AND (NEW.picked <> OLD.picked OR NEW.pools <> OLD.pools))",
                            func="\n    PERFORM 1 FROM bookings_poolmember m JOIN bookings_resource r ON r.id = m.resource_id\n    WHERE m.pool_id = ANY (NEW.pools) AND r.number = ANY (NEW.picked)\n    ORDER BY m.id FOR SHARE OF m;\n    IF cardinality(NEW.picked) <> cardinality(NEW.pools)\n       OR cardinality(NEW.picked) <> (SELECT count(DISTINCT n) FROM unnest(NEW.picked) AS n)\n       OR EXISTS (\n           SELECT 1 FROM unnest(NEW.pools, NEW.picked) AS given (pool_id, number)\n           WHERE NOT EXISTS (\n               SELECT 1 FROM bookings_poolmember m JOIN bookings_resource r ON r.id = m.resource_id\n               WHERE m.pool_id = given.pool_id AND r.number = given.number\n           )\n       ) THEN\n        RAISE EXCEPTION 'what is picked for slot % is not in its pools', NEW.id USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_slot_picked_is_in_its_pools';\n    END IF;\n    RETURN NEW;\n",
                            hash="187fafc389b01a5519544f1dad301ae4790ffcbf",
                            operation="UPDATE",
                            pgid="pgtrigger_pick_update_4631c",
                            table="bookings_slot",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalslot" ("id", "organization_id", "resource_id", "starts_at", "ends_at", "busy_from", "busy_until", "exclusive", "max_bookings", "max_units", "status", "source", "parts", "pools", "picked", "stays_closed", "limits_by_hand", "shut", "opened_at", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."resource_id", n."starts_at", n."ends_at", n."busy_from", n."busy_until", n."exclusive", n."max_bookings", n."max_units", n."status", n."source", n."parts", n."pools", n."picked", n."stays_closed", n."limits_by_hand", n."shut", n."opened_at", n."created_at", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="b72ee51698a71ff8674ab44e52facfdbc87c364d",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_71173",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_slot",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition="WHEN (pg_trigger_depth() = 0)",
                            func='INSERT INTO "bookings_historicalslot" ("id", "organization_id", "resource_id", "starts_at", "ends_at", "busy_from", "busy_until", "exclusive", "max_bookings", "max_units", "status", "source", "parts", "pools", "picked", "stays_closed", "limits_by_hand", "shut", "opened_at", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."resource_id", n."starts_at", n."ends_at", n."busy_from", n."busy_until", n."exclusive", n."max_bookings", n."max_units", n."status", n."source", n."parts", n."pools", n."picked", n."stays_closed", n."limits_by_hand", n."shut", n."opened_at", n."created_at", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."resource_id", n."starts_at", n."ends_at", n."busy_from", n."busy_until", n."exclusive", n."max_bookings", n."max_units", n."status", n."source", n."parts", n."pools", n."picked", n."stays_closed", n."limits_by_hand", n."shut", n."opened_at", n."created_at") IS DISTINCT FROM ROW(o."id", o."organization_id", o."resource_id", o."starts_at", o."ends_at", o."busy_from", o."busy_until", o."exclusive", o."max_bookings", o."max_units", o."status", o."source", o."parts", o."pools", o."picked", o."stays_closed", o."limits_by_hand", o."shut", o."opened_at", o."created_at"); RETURN NULL;',
                            hash="baeb0e5ecaf51682959de5b8f1cb8e953efdc146",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_13919",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="bookings_slot",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalslot" ("id", "organization_id", "resource_id", "starts_at", "ends_at", "busy_from", "busy_until", "exclusive", "max_bookings", "max_units", "status", "source", "parts", "pools", "picked", "stays_closed", "limits_by_hand", "shut", "opened_at", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."resource_id", o."starts_at", o."ends_at", o."busy_from", o."busy_until", o."exclusive", o."max_bookings", o."max_units", o."status", o."source", o."parts", o."pools", o."picked", o."stays_closed", o."limits_by_hand", o."shut", o."opened_at", o."created_at", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="cd169f5689765a6ee710340905319da35ebc9e0d",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_ceb1c",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="bookings_slot",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Occupancy",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("resource_number", models.BigIntegerField()),
                ("period", django.contrib.postgres.fields.ranges.DateTimeRangeField()),
                (
                    "slot",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="occupancies",
                        to="bookings.slot",
                    ),
                ),
            ],
            options={
                "verbose_name": "occupancy",
                "verbose_name_plural": "occupancies",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("slot", "resource_number"), name="bookings_occupancy_once_per_slot"
                    ),
                    django.contrib.postgres.constraints.ExclusionConstraint(
                        expressions=[
                            (
                                models.Func(
                                    models.F("resource_number"),
                                    models.F("resource_number"),
                                    models.Value("[]"),
                                    function="int8range",
                                ),
                                "=",
                            ),
                            ("period", "&&"),
                        ],
                        name="bookings_occupancy_never_overlaps",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("period__isempty", False),
                            ("period__lower_inf", False),
                            ("period__upper_inf", False),
                        ),
                        name="bookings_occupancy_period_is_real",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ResourcePart",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="bookings.organization",
                    ),
                ),
                (
                    "part",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="whole_links",
                        to="bookings.resource",
                        verbose_name="part",
                    ),
                ),
                (
                    "whole",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="part_links",
                        to="bookings.resource",
                        verbose_name="whole",
                    ),
                ),
            ],
            options={
                "verbose_name": "part",
                "verbose_name_plural": "made of",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("whole", "part"), name="bookings_resourcepart_named_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("whole", models.F("part")), _negated=True),
                        name="bookings_resourcepart_is_not_itself",
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="compose_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            declare="DECLARE circles bigint;",
                            func="\n    PERFORM 1 FROM bookings_resource\n    WHERE id IN (SELECT part_id FROM new_rows) ORDER BY id FOR SHARE;\n    IF EXISTS (\n        SELECT 1 FROM new_rows n JOIN bookings_resource w ON w.id = n.whole_id\n        JOIN bookings_resource p ON p.id = n.part_id\n        WHERE NOT p.exclusive OR w.organization_id <> n.organization_id\n           OR p.organization_id <> n.organization_id\n    ) THEN\n        RAISE EXCEPTION 'a part is exclusive and of the same organisation' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_resourcepart_fits';\n    END IF;\n    \n    PERFORM pg_advisory_xact_lock(hashtextextended('bookings_composition', 0));\n    WITH RECURSIVE made (whole_id, part_id) AS (\n        SELECT whole_id, part_id FROM bookings_resourcepart\n        UNION\n        SELECT m.whole_id, p.part_id FROM made m\n        JOIN bookings_resourcepart p ON p.whole_id = m.part_id\n    )\n    SELECT count(*) INTO circles FROM made WHERE whole_id = part_id;\n    IF circles > 0 THEN\n        RAISE EXCEPTION 'a resource cannot be a part of itself' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_resourcepart_makes_no_circle';\n    END IF;\n    WITH RECURSIVE made (whole_id, part_id) AS (\n        SELECT whole_id, part_id FROM bookings_resourcepart\n        UNION\n        SELECT m.whole_id, p.part_id FROM made m\n        JOIN bookings_resourcepart p ON p.whole_id = m.part_id\n    ), parts AS (\n        SELECT m.whole_id AS id, array_agg(r.number ORDER BY r.number) AS parts\n        FROM made m JOIN bookings_resource r ON r.id = m.part_id GROUP BY m.whole_id\n    ), needs AS (\n        SELECT x.id, array_agg(DISTINCT x.pool_id) AS pools FROM (\n            SELECT resource_id AS id, pool_id FROM bookings_poolneed\n            UNION ALL\n            SELECT m.whole_id, n.pool_id FROM made m\n            JOIN bookings_poolneed n ON n.resource_id = m.part_id\n        ) x GROUP BY x.id\n    )\n    UPDATE bookings_resource r\n    SET parts = COALESCE(p.parts, '{}'), pools = COALESCE(n.pools, '{}')\n    FROM bookings_resource o\n    LEFT JOIN parts p ON p.id = o.id LEFT JOIN needs n ON n.id = o.id\n    WHERE r.id = o.id AND (r.parts <> COALESCE(p.parts, '{}') OR r.pools <> COALESCE(n.pools, '{}'));\n    IF EXISTS (\n        SELECT 1 FROM bookings_poolmember m JOIN bookings_resource r ON r.id = m.resource_id\n        WHERE r.parts <> '{}' OR r.pools <> '{}'\n    ) THEN\n        RAISE EXCEPTION 'a pool takes single, exclusive resources' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_poolmember_is_single';\n    END IF;\nRETURN NULL;",
                            hash="97fd6d292dd2202e182c567974f7e56f0c078b89",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_compose_insert_7b595",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_resourcepart",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="compose_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            declare="DECLARE circles bigint;",
                            func="\n    PERFORM 1 FROM bookings_resource\n    WHERE id IN (SELECT part_id FROM new_rows) ORDER BY id FOR SHARE;\n    IF EXISTS (\n        SELECT 1 FROM new_rows n JOIN bookings_resource w ON w.id = n.whole_id\n        JOIN bookings_resource p ON p.id = n.part_id\n        WHERE NOT p.exclusive OR w.organization_id <> n.organization_id\n           OR p.organization_id <> n.organization_id\n    ) THEN\n        RAISE EXCEPTION 'a part is exclusive and of the same organisation' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_resourcepart_fits';\n    END IF;\n    \n    PERFORM pg_advisory_xact_lock(hashtextextended('bookings_composition', 0));\n    WITH RECURSIVE made (whole_id, part_id) AS (\n        SELECT whole_id, part_id FROM bookings_resourcepart\n        UNION\n        SELECT m.whole_id, p.part_id FROM made m\n        JOIN bookings_resourcepart p ON p.whole_id = m.part_id\n    )\n    SELECT count(*) INTO circles FROM made WHERE whole_id = part_id;\n    IF circles > 0 THEN\n        RAISE EXCEPTION 'a resource cannot be a part of itself' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_resourcepart_makes_no_circle';\n    END IF;\n    WITH RECURSIVE made (whole_id, part_id) AS (\n        SELECT whole_id, part_id FROM bookings_resourcepart\n        UNION\n        SELECT m.whole_id, p.part_id FROM made m\n        JOIN bookings_resourcepart p ON p.whole_id = m.part_id\n    ), parts AS (\n        SELECT m.whole_id AS id, array_agg(r.number ORDER BY r.number) AS parts\n        FROM made m JOIN bookings_resource r ON r.id = m.part_id GROUP BY m.whole_id\n    ), needs AS (\n        SELECT x.id, array_agg(DISTINCT x.pool_id) AS pools FROM (\n            SELECT resource_id AS id, pool_id FROM bookings_poolneed\n            UNION ALL\n            SELECT m.whole_id, n.pool_id FROM made m\n            JOIN bookings_poolneed n ON n.resource_id = m.part_id\n        ) x GROUP BY x.id\n    )\n    UPDATE bookings_resource r\n    SET parts = COALESCE(p.parts, '{}'), pools = COALESCE(n.pools, '{}')\n    FROM bookings_resource o\n    LEFT JOIN parts p ON p.id = o.id LEFT JOIN needs n ON n.id = o.id\n    WHERE r.id = o.id AND (r.parts <> COALESCE(p.parts, '{}') OR r.pools <> COALESCE(n.pools, '{}'));\n    IF EXISTS (\n        SELECT 1 FROM bookings_poolmember m JOIN bookings_resource r ON r.id = m.resource_id\n        WHERE r.parts <> '{}' OR r.pools <> '{}'\n    ) THEN\n        RAISE EXCEPTION 'a pool takes single, exclusive resources' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_poolmember_is_single';\n    END IF;\nRETURN NULL;",
                            hash="cfb0459344773f038dc923e94bfb24960a63cdef",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_compose_update_992a4",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_resourcepart",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="compose_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            declare="DECLARE circles bigint;",
                            func="\n    PERFORM pg_advisory_xact_lock(hashtextextended('bookings_composition', 0));\n    WITH RECURSIVE made (whole_id, part_id) AS (\n        SELECT whole_id, part_id FROM bookings_resourcepart\n        UNION\n        SELECT m.whole_id, p.part_id FROM made m\n        JOIN bookings_resourcepart p ON p.whole_id = m.part_id\n    )\n    SELECT count(*) INTO circles FROM made WHERE whole_id = part_id;\n    IF circles > 0 THEN\n        RAISE EXCEPTION 'a resource cannot be a part of itself' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_resourcepart_makes_no_circle';\n    END IF;\n    WITH RECURSIVE made (whole_id, part_id) AS (\n        SELECT whole_id, part_id FROM bookings_resourcepart\n        UNION\n        SELECT m.whole_id, p.part_id FROM made m\n        JOIN bookings_resourcepart p ON p.whole_id = m.part_id\n    ), parts AS (\n        SELECT m.whole_id AS id, array_agg(r.number ORDER BY r.number) AS parts\n        FROM made m JOIN bookings_resource r ON r.id = m.part_id GROUP BY m.whole_id\n    ), needs AS (\n        SELECT x.id, array_agg(DISTINCT x.pool_id) AS pools FROM (\n            SELECT resource_id AS id, pool_id FROM bookings_poolneed\n            UNION ALL\n            SELECT m.whole_id, n.pool_id FROM made m\n            JOIN bookings_poolneed n ON n.resource_id = m.part_id\n        ) x GROUP BY x.id\n    )\n    UPDATE bookings_resource r\n    SET parts = COALESCE(p.parts, '{}'), pools = COALESCE(n.pools, '{}')\n    FROM bookings_resource o\n    LEFT JOIN parts p ON p.id = o.id LEFT JOIN needs n ON n.id = o.id\n    WHERE r.id = o.id AND (r.parts <> COALESCE(p.parts, '{}') OR r.pools <> COALESCE(n.pools, '{}'));\n    IF EXISTS (\n        SELECT 1 FROM bookings_poolmember m JOIN bookings_resource r ON r.id = m.resource_id\n        WHERE r.parts <> '{}' OR r.pools <> '{}'\n    ) THEN\n        RAISE EXCEPTION 'a pool takes single, exclusive resources' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_poolmember_is_single';\n    END IF;\nRETURN NULL;",
                            hash="216821ebae013c6f795781a093eac065d48fbf3d",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_compose_delete_77306",
                            table="bookings_resourcepart",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalresourcepart" ("id", "organization_id", "whole_id", "part_id", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."whole_id", n."part_id", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="725f59a33dab4fae83f2239cf7b615a7547a77e3",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_08fc7",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_resourcepart",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalresourcepart" ("id", "organization_id", "whole_id", "part_id", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."whole_id", n."part_id", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."whole_id", n."part_id") IS DISTINCT FROM ROW(o."id", o."organization_id", o."whole_id", o."part_id"); RETURN NULL;',
                            hash="1cce8ac5f4480c2da7b6846d72e0bdc6c3ce85f8",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_27773",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="bookings_resourcepart",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalresourcepart" ("id", "organization_id", "whole_id", "part_id", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."whole_id", o."part_id", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="112ebfd8f7f733e402aef96db873654f9dd87fc4",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_2fd8a",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="bookings_resourcepart",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PoolMember",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "pool",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="members",
                        to="bookings.pool",
                    ),
                ),
                (
                    "resource",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="memberships",
                        to="bookings.resource",
                        verbose_name="resource",
                    ),
                ),
            ],
            options={
                "verbose_name": "member",
                "verbose_name_plural": "members",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("pool", "resource"), name="bookings_poolmember_named_once"
                    )
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="fit",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func="\n    PERFORM 1 FROM bookings_resource\n    WHERE id IN (SELECT resource_id FROM new_rows) ORDER BY id FOR SHARE;\n    IF EXISTS (\n        SELECT 1 FROM new_rows n JOIN bookings_pool p ON p.id = n.pool_id\n        JOIN bookings_resource r ON r.id = n.resource_id\n        WHERE NOT r.exclusive OR r.parts <> '{}' OR r.pools <> '{}'\n           OR r.organization_id <> p.organization_id\n    ) THEN\n        RAISE EXCEPTION 'a pool takes single, exclusive resources' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_poolmember_is_single';\n    END IF;\n    RETURN NULL;\n",
                            hash="def03e843a49a600048754ba073160429903693b",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_fit_b6435",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_poolmember",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="fit_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func="\n    PERFORM 1 FROM bookings_resource\n    WHERE id IN (SELECT resource_id FROM new_rows) ORDER BY id FOR SHARE;\n    IF EXISTS (\n        SELECT 1 FROM new_rows n JOIN bookings_pool p ON p.id = n.pool_id\n        JOIN bookings_resource r ON r.id = n.resource_id\n        WHERE NOT r.exclusive OR r.parts <> '{}' OR r.pools <> '{}'\n           OR r.organization_id <> p.organization_id\n    ) THEN\n        RAISE EXCEPTION 'a pool takes single, exclusive resources' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_poolmember_is_single';\n    END IF;\n    RETURN NULL;\n",
                            hash="d71459345da6a5def4d60e9fe26b5f00f29567d6",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_fit_update_36d44",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_poolmember",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="keep_picked",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func="\n    IF TG_OP = 'UPDATE' THEN\n        IF NEW.pool_id = OLD.pool_id AND NEW.resource_id = OLD.resource_id THEN RETURN NEW; END IF;\n    END IF;\n    IF EXISTS (\n        SELECT 1 FROM bookings_resource r\n        JOIN bookings_occupancy o\n          ON int8range(o.resource_number, o.resource_number, '[]')\n             = int8range(r.number, r.number, '[]')\n         AND o.period && tstzrange(now(), NULL)\n        JOIN bookings_slot s ON s.id = o.slot_id\n        WHERE r.id = OLD.resource_id AND s.taken_bookings > 0 AND s.ends_at > now()\n          AND s.picked[array_position(s.pools, OLD.pool_id)] = r.number\n    ) THEN\n        RAISE EXCEPTION 'people to come have what membership % lets them have', OLD.id USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_poolmember_stays_while_picked';\n    END IF;\n    IF TG_OP = 'UPDATE' THEN RETURN NEW; END IF;\n    RETURN OLD;\n",
                            hash="4613629602faa1d11453e3f1403d23c899d0d733",
                            operation="UPDATE OR DELETE",
                            pgid="pgtrigger_keep_picked_a50df",
                            table="bookings_poolmember",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalpoolmember" ("id", "pool_id", "resource_id", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."pool_id", n."resource_id", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="ab2fbd97412709e7100f878d5ca9020198e128c5",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_2056c",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_poolmember",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalpoolmember" ("id", "pool_id", "resource_id", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."pool_id", n."resource_id", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."pool_id", n."resource_id") IS DISTINCT FROM ROW(o."id", o."pool_id", o."resource_id"); RETURN NULL;',
                            hash="aebf80a63cf45e98f82a28efd7dcdc902c29e56a",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_46e18",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="bookings_poolmember",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalpoolmember" ("id", "pool_id", "resource_id", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."pool_id", o."resource_id", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="dbb10a999b4a5c2736ac983307ea8ed8462c49e1",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_82dc2",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="bookings_poolmember",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PoolNeed",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="bookings.organization",
                    ),
                ),
                (
                    "pool",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="needs",
                        to="bookings.pool",
                        verbose_name="pool",
                    ),
                ),
                (
                    "resource",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pool_needs",
                        to="bookings.resource",
                        verbose_name="resource",
                    ),
                ),
            ],
            options={
                "verbose_name": "need",
                "verbose_name_plural": "needs one out of",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("resource", "pool"), name="bookings_poolneed_named_once"
                    )
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="compose_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            declare="DECLARE circles bigint;",
                            func="\n    IF EXISTS (\n        SELECT 1 FROM new_rows n JOIN bookings_resource r ON r.id = n.resource_id\n        JOIN bookings_pool p ON p.id = n.pool_id\n        WHERE r.organization_id <> n.organization_id OR p.organization_id <> n.organization_id\n    ) THEN\n        RAISE EXCEPTION 'a pool is of the same organisation' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_poolneed_fits';\n    END IF;\n    \n    PERFORM pg_advisory_xact_lock(hashtextextended('bookings_composition', 0));\n    WITH RECURSIVE made (whole_id, part_id) AS (\n        SELECT whole_id, part_id FROM bookings_resourcepart\n        UNION\n        SELECT m.whole_id, p.part_id FROM made m\n        JOIN bookings_resourcepart p ON p.whole_id = m.part_id\n    )\n    SELECT count(*) INTO circles FROM made WHERE whole_id = part_id;\n    IF circles > 0 THEN\n        RAISE EXCEPTION 'a resource cannot be a part of itself' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_resourcepart_makes_no_circle';\n    END IF;\n    WITH RECURSIVE made (whole_id, part_id) AS (\n        SELECT whole_id, part_id FROM bookings_resourcepart\n        UNION\n        SELECT m.whole_id, p.part_id FROM made m\n        JOIN bookings_resourcepart p ON p.whole_id = m.part_id\n    ), parts AS (\n        SELECT m.whole_id AS id, array_agg(r.number ORDER BY r.number) AS parts\n        FROM made m JOIN bookings_resource r ON r.id = m.part_id GROUP BY m.whole_id\n    ), needs AS (\n        SELECT x.id, array_agg(DISTINCT x.pool_id) AS pools FROM (\n            SELECT resource_id AS id, pool_id FROM bookings_poolneed\n            UNION ALL\n            SELECT m.whole_id, n.pool_id FROM made m\n            JOIN bookings_poolneed n ON n.resource_id = m.part_id\n        ) x GROUP BY x.id\n    )\n    UPDATE bookings_resource r\n    SET parts = COALESCE(p.parts, '{}'), pools = COALESCE(n.pools, '{}')\n    FROM bookings_resource o\n    LEFT JOIN parts p ON p.id = o.id LEFT JOIN needs n ON n.id = o.id\n    WHERE r.id = o.id AND (r.parts <> COALESCE(p.parts, '{}') OR r.pools <> COALESCE(n.pools, '{}'));\n    IF EXISTS (\n        SELECT 1 FROM bookings_poolmember m JOIN bookings_resource r ON r.id = m.resource_id\n        WHERE r.parts <> '{}' OR r.pools <> '{}'\n    ) THEN\n        RAISE EXCEPTION 'a pool takes single, exclusive resources' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_poolmember_is_single';\n    END IF;\nRETURN NULL;",
                            hash="7a9c5cda3e848ebcd4ffa0a6717d9bffc7c3e8ff",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_compose_insert_9aa42",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_poolneed",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="compose_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            declare="DECLARE circles bigint;",
                            func="\n    IF EXISTS (\n        SELECT 1 FROM new_rows n JOIN bookings_resource r ON r.id = n.resource_id\n        JOIN bookings_pool p ON p.id = n.pool_id\n        WHERE r.organization_id <> n.organization_id OR p.organization_id <> n.organization_id\n    ) THEN\n        RAISE EXCEPTION 'a pool is of the same organisation' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_poolneed_fits';\n    END IF;\n    \n    PERFORM pg_advisory_xact_lock(hashtextextended('bookings_composition', 0));\n    WITH RECURSIVE made (whole_id, part_id) AS (\n        SELECT whole_id, part_id FROM bookings_resourcepart\n        UNION\n        SELECT m.whole_id, p.part_id FROM made m\n        JOIN bookings_resourcepart p ON p.whole_id = m.part_id\n    )\n    SELECT count(*) INTO circles FROM made WHERE whole_id = part_id;\n    IF circles > 0 THEN\n        RAISE EXCEPTION 'a resource cannot be a part of itself' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_resourcepart_makes_no_circle';\n    END IF;\n    WITH RECURSIVE made (whole_id, part_id) AS (\n        SELECT whole_id, part_id FROM bookings_resourcepart\n        UNION\n        SELECT m.whole_id, p.part_id FROM made m\n        JOIN bookings_resourcepart p ON p.whole_id = m.part_id\n    ), parts AS (\n        SELECT m.whole_id AS id, array_agg(r.number ORDER BY r.number) AS parts\n        FROM made m JOIN bookings_resource r ON r.id = m.part_id GROUP BY m.whole_id\n    ), needs AS (\n        SELECT x.id, array_agg(DISTINCT x.pool_id) AS pools FROM (\n            SELECT resource_id AS id, pool_id FROM bookings_poolneed\n            UNION ALL\n            SELECT m.whole_id, n.pool_id FROM made m\n            JOIN bookings_poolneed n ON n.resource_id = m.part_id\n        ) x GROUP BY x.id\n    )\n    UPDATE bookings_resource r\n    SET parts = COALESCE(p.parts, '{}'), pools = COALESCE(n.pools, '{}')\n    FROM bookings_resource o\n    LEFT JOIN parts p ON p.id = o.id LEFT JOIN needs n ON n.id = o.id\n    WHERE r.id = o.id AND (r.parts <> COALESCE(p.parts, '{}') OR r.pools <> COALESCE(n.pools, '{}'));\n    IF EXISTS (\n        SELECT 1 FROM bookings_poolmember m JOIN bookings_resource r ON r.id = m.resource_id\n        WHERE r.parts <> '{}' OR r.pools <> '{}'\n    ) THEN\n        RAISE EXCEPTION 'a pool takes single, exclusive resources' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_poolmember_is_single';\n    END IF;\nRETURN NULL;",
                            hash="c04bf4e6c54ee22854e1b6df4c4c90d81408b19b",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_compose_update_7f0fb",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_poolneed",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="compose_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            declare="DECLARE circles bigint;",
                            func="\n    PERFORM pg_advisory_xact_lock(hashtextextended('bookings_composition', 0));\n    WITH RECURSIVE made (whole_id, part_id) AS (\n        SELECT whole_id, part_id FROM bookings_resourcepart\n        UNION\n        SELECT m.whole_id, p.part_id FROM made m\n        JOIN bookings_resourcepart p ON p.whole_id = m.part_id\n    )\n    SELECT count(*) INTO circles FROM made WHERE whole_id = part_id;\n    IF circles > 0 THEN\n        RAISE EXCEPTION 'a resource cannot be a part of itself' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_resourcepart_makes_no_circle';\n    END IF;\n    WITH RECURSIVE made (whole_id, part_id) AS (\n        SELECT whole_id, part_id FROM bookings_resourcepart\n        UNION\n        SELECT m.whole_id, p.part_id FROM made m\n        JOIN bookings_resourcepart p ON p.whole_id = m.part_id\n    ), parts AS (\n        SELECT m.whole_id AS id, array_agg(r.number ORDER BY r.number) AS parts\n        FROM made m JOIN bookings_resource r ON r.id = m.part_id GROUP BY m.whole_id\n    ), needs AS (\n        SELECT x.id, array_agg(DISTINCT x.pool_id) AS pools FROM (\n            SELECT resource_id AS id, pool_id FROM bookings_poolneed\n            UNION ALL\n            SELECT m.whole_id, n.pool_id FROM made m\n            JOIN bookings_poolneed n ON n.resource_id = m.part_id\n        ) x GROUP BY x.id\n    )\n    UPDATE bookings_resource r\n    SET parts = COALESCE(p.parts, '{}'), pools = COALESCE(n.pools, '{}')\n    FROM bookings_resource o\n    LEFT JOIN parts p ON p.id = o.id LEFT JOIN needs n ON n.id = o.id\n    WHERE r.id = o.id AND (r.parts <> COALESCE(p.parts, '{}') OR r.pools <> COALESCE(n.pools, '{}'));\n    IF EXISTS (\n        SELECT 1 FROM bookings_poolmember m JOIN bookings_resource r ON r.id = m.resource_id\n        WHERE r.parts <> '{}' OR r.pools <> '{}'\n    ) THEN\n        RAISE EXCEPTION 'a pool takes single, exclusive resources' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_poolmember_is_single';\n    END IF;\nRETURN NULL;",
                            hash="5a520d7b62e62fca891d6d70066eef4d53e93669",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_compose_delete_034e2",
                            table="bookings_poolneed",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalpoolneed" ("id", "organization_id", "resource_id", "pool_id", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."resource_id", n."pool_id", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="024dad098b01105785d0434ecaefcf39cbba5666",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_3760b",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_poolneed",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalpoolneed" ("id", "organization_id", "resource_id", "pool_id", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."resource_id", n."pool_id", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."resource_id", n."pool_id") IS DISTINCT FROM ROW(o."id", o."organization_id", o."resource_id", o."pool_id"); RETURN NULL;',
                            hash="c1c829794fdb755224b068de00f10510f816e8e1",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_1cc15",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="bookings_poolneed",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalpoolneed" ("id", "organization_id", "resource_id", "pool_id", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."resource_id", o."pool_id", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="c1487fa1364176e258a89a1d68904cf702ab2868",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_9e36a",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="bookings_poolneed",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Schedule",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("number", models.PositiveIntegerField(verbose_name="version")),
                ("valid_from", models.DateField(verbose_name="valid from")),
                (
                    "time_zone",
                    models.CharField(
                        max_length=60,
                        validators=[bookings.models.organization.validate_time_zone],
                        verbose_name="time zone",
                    ),
                ),
                ("note", models.CharField(blank=True, max_length=500, verbose_name="what changed")),
                ("created_at", models.DateTimeField(verbose_name="made at")),
                (
                    "created_by",
                    models.CharField(blank=True, max_length=200, verbose_name="made by"),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "resource",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="schedules",
                        to="bookings.resource",
                        verbose_name="resource",
                    ),
                ),
            ],
            options={
                "verbose_name": "schedule",
                "verbose_name_plural": "schedules",
                "ordering": ["resource", "-number"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("resource", "number"), name="bookings_schedule_version_is_unique"
                    )
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="written_once",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func="\n            RAISE EXCEPTION 'a schedule is not changed; a new version replaces it' USING\n                ERRCODE = 'check_violation', CONSTRAINT = 'bookings_schedule_is_written_once';\n        ",
                            hash="4a06bed7054bcf0712fc9267b98aa0dc19f16fef",
                            operation="UPDATE OR DELETE",
                            pgid="pgtrigger_written_once_da28a",
                            table="bookings_schedule",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalschedule" ("id", "organization_id", "resource_id", "number", "valid_from", "time_zone", "note", "created_at", "created_by", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."resource_id", n."number", n."valid_from", n."time_zone", n."note", n."created_at", n."created_by", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="4c87684129b86cfa9b0e5d18a83400f0f4dacc7d",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_c267d",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_schedule",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalschedule" ("id", "organization_id", "resource_id", "number", "valid_from", "time_zone", "note", "created_at", "created_by", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."resource_id", n."number", n."valid_from", n."time_zone", n."note", n."created_at", n."created_by", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."resource_id", n."number", n."valid_from", n."time_zone", n."note", n."created_at", n."created_by") IS DISTINCT FROM ROW(o."id", o."organization_id", o."resource_id", o."number", o."valid_from", o."time_zone", o."note", o."created_at", o."created_by"); RETURN NULL;',
                            hash="55c7408ea719e8b14e4d7f6a6e77581669274f9b",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_1505d",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="bookings_schedule",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalschedule" ("id", "organization_id", "resource_id", "number", "valid_from", "time_zone", "note", "created_at", "created_by", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."resource_id", o."number", o."valid_from", o."time_zone", o."note", o."created_at", o."created_by", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="b3aaf828ef1b072e3b0299626874f56f36f1570a",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_b1c05",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="bookings_schedule",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ScheduleRule",
            fields=[
                (
                    "slot_minutes",
                    models.PositiveSmallIntegerField(
                        default=60,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1440),
                        ],
                        verbose_name="slot length in minutes",
                    ),
                ),
                (
                    "gap_minutes",
                    models.PositiveSmallIntegerField(
                        default=0,
                        validators=[django.core.validators.MaxValueValidator(1440)],
                        verbose_name="minutes between slots",
                    ),
                ),
                (
                    "buffer_before_minutes",
                    models.PositiveSmallIntegerField(
                        default=0,
                        validators=[django.core.validators.MaxValueValidator(1440)],
                        verbose_name="minutes kept free before",
                    ),
                ),
                (
                    "buffer_after_minutes",
                    models.PositiveSmallIntegerField(
                        default=0,
                        validators=[django.core.validators.MaxValueValidator(1440)],
                        verbose_name="minutes kept free after",
                    ),
                ),
                (
                    "max_bookings",
                    models.PositiveIntegerField(
                        default=1,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="most bookings",
                    ),
                ),
                (
                    "max_units",
                    models.PositiveIntegerField(
                        default=1,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="most people",
                    ),
                ),
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("from_time", models.TimeField(verbose_name="from")),
                ("until_time", models.TimeField(verbose_name="until")),
                (
                    "weekdays",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveSmallIntegerField(
                            choices=[
                                (1, "Monday"),
                                (2, "Tuesday"),
                                (3, "Wednesday"),
                                (4, "Thursday"),
                                (5, "Friday"),
                                (6, "Saturday"),
                                (7, "Sunday"),
                            ]
                        ),
                        blank=True,
                        default=list,
                        help_text="1 is Monday, 7 is Sunday. Empty: every day.",
                        size=None,
                        verbose_name="weekdays",
                    ),
                ),
                ("valid_from", models.DateField(blank=True, null=True, verbose_name="valid from")),
                (
                    "valid_until",
                    models.DateField(blank=True, null=True, verbose_name="valid until"),
                ),
                (
                    "schedule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rules",
                        to="bookings.schedule",
                    ),
                ),
            ],
            options={
                "verbose_name": "rule",
                "verbose_name_plural": "rules",
                "ordering": ["from_time", "id"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("buffer_after_minutes__lte", 1440),
                            ("buffer_before_minutes__lte", 1440),
                            ("gap_minutes__lte", 1440),
                            ("max_bookings__gte", 1),
                            ("max_units__gte", 1),
                            ("slot_minutes__gte", 1),
                            ("slot_minutes__lte", 1440),
                        ),
                        name="bookings_schedulerule_makes_sense",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("weekdays__contained_by", [1, 2, 3, 4, 5, 6, 7])),
                        name="bookings_schedulerule_weekdays_are_days",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("valid_until__isnull", True),
                            ("valid_from__isnull", True),
                            ("valid_until__gte", models.F("valid_from")),
                            _connector="OR",
                        ),
                        name="bookings_schedulerule_ends_after_it_starts",
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="written_once",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func="\n            RAISE EXCEPTION 'a schedule is not changed; a new version replaces it' USING\n                ERRCODE = 'check_violation', CONSTRAINT = 'bookings_schedulerule_is_written_once';\n        ",
                            hash="4007d8b342c024ac045e53ce41caa1c6837bd17e",
                            operation="UPDATE OR DELETE",
                            pgid="pgtrigger_written_once_a3740",
                            table="bookings_schedulerule",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalschedulerule" ("slot_minutes", "gap_minutes", "buffer_before_minutes", "buffer_after_minutes", "max_bookings", "max_units", "id", "schedule_id", "from_time", "until_time", "weekdays", "valid_from", "valid_until", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."slot_minutes", n."gap_minutes", n."buffer_before_minutes", n."buffer_after_minutes", n."max_bookings", n."max_units", n."id", n."schedule_id", n."from_time", n."until_time", n."weekdays", n."valid_from", n."valid_until", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="4c48adc907bd395632ec7d8173e9c6b0ff0589e1",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_ce892",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_schedulerule",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalschedulerule" ("slot_minutes", "gap_minutes", "buffer_before_minutes", "buffer_after_minutes", "max_bookings", "max_units", "id", "schedule_id", "from_time", "until_time", "weekdays", "valid_from", "valid_until", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."slot_minutes", n."gap_minutes", n."buffer_before_minutes", n."buffer_after_minutes", n."max_bookings", n."max_units", n."id", n."schedule_id", n."from_time", n."until_time", n."weekdays", n."valid_from", n."valid_until", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."slot_minutes", n."gap_minutes", n."buffer_before_minutes", n."buffer_after_minutes", n."max_bookings", n."max_units", n."id", n."schedule_id", n."from_time", n."until_time", n."weekdays", n."valid_from", n."valid_until") IS DISTINCT FROM ROW(o."slot_minutes", o."gap_minutes", o."buffer_before_minutes", o."buffer_after_minutes", o."max_bookings", o."max_units", o."id", o."schedule_id", o."from_time", o."until_time", o."weekdays", o."valid_from", o."valid_until"); RETURN NULL;',
                            hash="ca183005fe076683c997e0c8dff032ba26ea34f2",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_0e376",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="bookings_schedulerule",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalschedulerule" ("slot_minutes", "gap_minutes", "buffer_before_minutes", "buffer_after_minutes", "max_bookings", "max_units", "id", "schedule_id", "from_time", "until_time", "weekdays", "valid_from", "valid_until", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."slot_minutes", o."gap_minutes", o."buffer_before_minutes", o."buffer_after_minutes", o."max_bookings", o."max_units", o."id", o."schedule_id", o."from_time", o."until_time", o."weekdays", o."valid_from", o."valid_until", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="805b81499b87a51b973210cbbd34abce13ae5796",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_575fa",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="bookings_schedulerule",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ScheduleException",
            fields=[
                (
                    "slot_minutes",
                    models.PositiveSmallIntegerField(
                        default=60,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1440),
                        ],
                        verbose_name="slot length in minutes",
                    ),
                ),
                (
                    "gap_minutes",
                    models.PositiveSmallIntegerField(
                        default=0,
                        validators=[django.core.validators.MaxValueValidator(1440)],
                        verbose_name="minutes between slots",
                    ),
                ),
                (
                    "buffer_before_minutes",
                    models.PositiveSmallIntegerField(
                        default=0,
                        validators=[django.core.validators.MaxValueValidator(1440)],
                        verbose_name="minutes kept free before",
                    ),
                ),
                (
                    "buffer_after_minutes",
                    models.PositiveSmallIntegerField(
                        default=0,
                        validators=[django.core.validators.MaxValueValidator(1440)],
                        verbose_name="minutes kept free after",
                    ),
                ),
                (
                    "max_bookings",
                    models.PositiveIntegerField(
                        default=1,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="most bookings",
                    ),
                ),
                (
                    "max_units",
                    models.PositiveIntegerField(
                        default=1,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="most people",
                    ),
                ),
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("closed", "closed"),
                            ("holiday", "holiday"),
                            ("extra", "extra hours"),
                        ],
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                ("first_day", models.DateField(verbose_name="first day")),
                ("last_day", models.DateField(verbose_name="last day")),
                ("from_time", models.TimeField(blank=True, null=True, verbose_name="from")),
                ("until_time", models.TimeField(blank=True, null=True, verbose_name="until")),
                ("uid", models.CharField(blank=True, editable=False, max_length=255)),
                ("created_at", models.DateTimeField(verbose_name="made at")),
                (
                    "withdrawn_at",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="withdrawn at"
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="schedule_exceptions",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "resource",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty: all resources.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="schedule_exceptions",
                        to="bookings.resource",
                        verbose_name="resource",
                    ),
                ),
            ],
            options={
                "verbose_name": "exception",
                "verbose_name_plural": "exceptions",
                "ordering": ["first_day", "id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("withdrawn_at__isnull", True)),
                        fields=["organization", "last_day"],
                        name="bookings_exceptions_in_force",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("buffer_after_minutes__lte", 1440),
                            ("buffer_before_minutes__lte", 1440),
                            ("gap_minutes__lte", 1440),
                            ("max_bookings__gte", 1),
                            ("max_units__gte", 1),
                            ("slot_minutes__gte", 1),
                            ("slot_minutes__lte", 1440),
                        ),
                        name="bookings_scheduleexception_makes_sense",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["closed", "holiday", "extra"])),
                        name="bookings_scheduleexception_kind_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("last_day__gte", models.F("first_day")),
                            (
                                "last_day__lte",
                                django.db.models.expressions.CombinedExpression(
                                    models.F("first_day"), "+", models.Value(3660)
                                ),
                            ),
                        ),
                        name="bookings_scheduleexception_ends_after_it_starts",
                        violation_error_message="The last day is not before the first.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("from_time__isnull", True), ("until_time__isnull", True)),
                            models.Q(("from_time__isnull", False), ("until_time__isnull", False)),
                            _connector="OR",
                        ),
                        name="bookings_scheduleexception_has_both_hours",
                        violation_error_message="Give both hours, or none for whole days.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "extra"), _negated=True),
                            models.Q(
                                ("from_time__isnull", False),
                                ("resource__isnull", False),
                                ("until_time__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="bookings_scheduleexception_extra_hours_are_of_a_resource",
                        violation_error_message="Extra hours need a resource and hours.",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(
                            ("withdrawn_at__isnull", True), models.Q(("uid", ""), _negated=True)
                        ),
                        fields=("organization", "uid"),
                        name="bookings_scheduleexception_imported_once",
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="written_once",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func="\n                    IF TG_OP = 'UPDATE' AND OLD.withdrawn_at IS NULL\n                       AND NEW.withdrawn_at IS NOT NULL THEN\n                        OLD.withdrawn_at := NEW.withdrawn_at;\n                        IF OLD IS NOT DISTINCT FROM NEW THEN RETURN NEW; END IF;\n                    END IF;\n                    RAISE EXCEPTION 'an exception is withdrawn, not changed' USING\n                        ERRCODE = 'check_violation',\n                        CONSTRAINT = 'bookings_scheduleexception_is_written_once';\n                ",
                            hash="833c0f36561fc2debc3d2f76772571e7e1cb21f5",
                            operation="UPDATE OR DELETE",
                            pgid="pgtrigger_written_once_23449",
                            table="bookings_scheduleexception",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalscheduleexception" ("slot_minutes", "gap_minutes", "buffer_before_minutes", "buffer_after_minutes", "max_bookings", "max_units", "id", "organization_id", "resource_id", "kind", "name", "first_day", "last_day", "from_time", "until_time", "uid", "created_at", "withdrawn_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."slot_minutes", n."gap_minutes", n."buffer_before_minutes", n."buffer_after_minutes", n."max_bookings", n."max_units", n."id", n."organization_id", n."resource_id", n."kind", n."name", n."first_day", n."last_day", n."from_time", n."until_time", n."uid", n."created_at", n."withdrawn_at", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="5a134e66bf1da238eb8e1cbf7e799fbfe0bda52b",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_63171",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_scheduleexception",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalscheduleexception" ("slot_minutes", "gap_minutes", "buffer_before_minutes", "buffer_after_minutes", "max_bookings", "max_units", "id", "organization_id", "resource_id", "kind", "name", "first_day", "last_day", "from_time", "until_time", "uid", "created_at", "withdrawn_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."slot_minutes", n."gap_minutes", n."buffer_before_minutes", n."buffer_after_minutes", n."max_bookings", n."max_units", n."id", n."organization_id", n."resource_id", n."kind", n."name", n."first_day", n."last_day", n."from_time", n."until_time", n."uid", n."created_at", n."withdrawn_at", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."slot_minutes", n."gap_minutes", n."buffer_before_minutes", n."buffer_after_minutes", n."max_bookings", n."max_units", n."id", n."organization_id", n."resource_id", n."kind", n."name", n."first_day", n."last_day", n."from_time", n."until_time", n."uid", n."created_at", n."withdrawn_at") IS DISTINCT FROM ROW(o."slot_minutes", o."gap_minutes", o."buffer_before_minutes", o."buffer_after_minutes", o."max_bookings", o."max_units", o."id", o."organization_id", o."resource_id", o."kind", o."name", o."first_day", o."last_day", o."from_time", o."until_time", o."uid", o."created_at", o."withdrawn_at"); RETURN NULL;',
                            hash="7cf9f18c375312488e59dc7a327f938d93d2d9ea",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_5727e",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="bookings_scheduleexception",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalscheduleexception" ("slot_minutes", "gap_minutes", "buffer_before_minutes", "buffer_after_minutes", "max_bookings", "max_units", "id", "organization_id", "resource_id", "kind", "name", "first_day", "last_day", "from_time", "until_time", "uid", "created_at", "withdrawn_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."slot_minutes", o."gap_minutes", o."buffer_before_minutes", o."buffer_after_minutes", o."max_bookings", o."max_units", o."id", o."organization_id", o."resource_id", o."kind", o."name", o."first_day", o."last_day", o."from_time", o."until_time", o."uid", o."created_at", o."withdrawn_at", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="f4b46fe63a9704c622329a3e47ee17f400d44ae1",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_f87dc",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="bookings_scheduleexception",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Series",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("starts_at", models.DateTimeField(verbose_name="first start")),
                ("ends_at", models.DateTimeField(verbose_name="first end")),
                (
                    "every_weeks",
                    models.PositiveSmallIntegerField(
                        default=1,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(52),
                        ],
                        verbose_name="every (weeks)",
                    ),
                ),
                (
                    "times",
                    models.PositiveSmallIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(100),
                        ],
                        verbose_name="how often",
                    ),
                ),
                ("units", models.PositiveIntegerField(default=1, verbose_name="people")),
                ("created_at", models.DateTimeField(verbose_name="made at")),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="series",
                        to="bookings.customer",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "resource",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="series",
                        to="bookings.resource",
                    ),
                ),
            ],
            options={
                "verbose_name": "series",
                "verbose_name_plural": "series",
                "ordering": ["-created_at", "-id"],
                "indexes": [
                    models.Index(
                        fields=["organization", "-created_at", "-id"],
                        name="bookings_se_organiz_b6f8f7_idx",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("every_weeks__gte", 1),
                            ("every_weeks__lte", 52),
                            ("times__gte", 1),
                            ("times__lte", 100),
                            ("ends_at__gt", models.F("starts_at")),
                            ("units__gte", 1),
                        ),
                        name="bookings_series_makes_sense",
                    )
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="stay_in_organization",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."customer_id" IS DISTINCT FROM (NEW."customer_id") OR OLD."organization_id" IS DISTINCT FROM (NEW."organization_id"))',
                            func="\n            RAISE EXCEPTION 'bookings_series % stays with whom it belongs to', OLD.id USING\n                ERRCODE = 'check_violation', CONSTRAINT = 'bookings_series_stays_in_its_organization';\n        ",
                            hash="b6fc07a737d00d52c5bf75bd7af892eb24162d8f",
                            operation="UPDATE",
                            pgid="pgtrigger_stay_in_organization_7bae8",
                            table="bookings_series",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalseries" ("id", "organization_id", "customer_id", "resource_id", "starts_at", "ends_at", "every_weeks", "times", "units", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."customer_id", n."resource_id", n."starts_at", n."ends_at", n."every_weeks", n."times", n."units", n."created_at", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="76b512a5d33d988e3a16f63a95d2a2feabdb8eef",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_a8e38",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_series",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalseries" ("id", "organization_id", "customer_id", "resource_id", "starts_at", "ends_at", "every_weeks", "times", "units", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."customer_id", n."resource_id", n."starts_at", n."ends_at", n."every_weeks", n."times", n."units", n."created_at", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."customer_id", n."resource_id", n."starts_at", n."ends_at", n."every_weeks", n."times", n."units", n."created_at") IS DISTINCT FROM ROW(o."id", o."organization_id", o."customer_id", o."resource_id", o."starts_at", o."ends_at", o."every_weeks", o."times", o."units", o."created_at"); RETURN NULL;',
                            hash="39d27313482c65cd7332f47a30ad41e85d430a22",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_44018",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="bookings_series",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalseries" ("id", "organization_id", "customer_id", "resource_id", "starts_at", "ends_at", "every_weeks", "times", "units", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."customer_id", o."resource_id", o."starts_at", o."ends_at", o."every_weeks", o."times", o."units", o."created_at", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="675a84755998aaf8db2e773d014e843ab6d1729f",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_eec6c",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="bookings_series",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Booking",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "reference",
                    models.CharField(
                        default=bookings.models.booking.new_reference,
                        editable=False,
                        max_length=11,
                        verbose_name="reference",
                    ),
                ),
                ("units", models.PositiveIntegerField(default=1, verbose_name="people")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("held", "held"),
                            ("pending", "pending"),
                            ("confirmed", "confirmed"),
                            ("reschedule_proposed", "reschedule proposed"),
                            ("checked_in", "checked in"),
                            ("completed", "completed"),
                            ("no_show", "no-show"),
                            ("rejected", "rejected"),
                            ("expired", "expired"),
                            ("cancelled", "cancelled"),
                        ],
                        default="held",
                        max_length=20,
                        verbose_name="status",
                    ),
                ),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                (
                    "held_until",
                    models.DateTimeField(blank=True, null=True, verbose_name="held until"),
                ),
                (
                    "pending_until",
                    models.DateTimeField(blank=True, null=True, verbose_name="pending until"),
                ),
                ("created_at", models.DateTimeField(verbose_name="made at")),
                ("requested_at", models.DateTimeField(blank=True, null=True)),
                (
                    "confirmed_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="confirmed at"),
                ),
                (
                    "checked_in_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="checked in at"),
                ),
                (
                    "missed_at",
                    models.DateTimeField(
                        blank=True, null=True, verbose_name="marked as a no-show at"
                    ),
                ),
                (
                    "excused_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="excused at"),
                ),
                (
                    "slot_since",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="moved at"
                    ),
                ),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended at")),
                (
                    "ended_reason",
                    models.CharField(blank=True, max_length=500, verbose_name="reason"),
                ),
                (
                    "stands_for",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="stand_ins",
                        to="bookings.booking",
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="bookings",
                        to="bookings.customer",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "series",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="bookings",
                        to="bookings.series",
                        verbose_name="series",
                    ),
                ),
                (
                    "slot",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="bookings",
                        to="bookings.slot",
                    ),
                ),
            ],
            options={
                "verbose_name": "booking",
                "verbose_name_plural": "bookings",
                "ordering": ["-created_at", "-id"],
                "permissions": [
                    ("check_in_booking", "Can check people in"),
                    ("propose_booking", "Can propose other times"),
                ],
                "indexes": [
                    models.Index(
                        fields=["organization", "-created_at", "-id"],
                        name="bookings_bo_organiz_206da1_idx",
                    ),
                    models.Index(
                        fields=["customer", "-created_at"], name="bookings_bo_custome_10bd54_idx"
                    ),
                    models.Index(
                        condition=models.Q(("status", "held")),
                        fields=["held_until"],
                        name="bookings_held_by_deadline",
                    ),
                    models.Index(
                        condition=models.Q(("status", "pending")),
                        fields=["pending_until"],
                        name="bookings_pending_by_deadline",
                    ),
                    models.Index(
                        condition=models.Q(
                            (
                                "status__in",
                                (
                                    "held",
                                    "pending",
                                    "confirmed",
                                    "reschedule_proposed",
                                    "checked_in",
                                ),
                            )
                        ),
                        fields=["slot"],
                        name="bookings_live_by_slot",
                    ),
                    models.Index(
                        condition=models.Q(("stands_for__isnull", False)),
                        fields=["stands_for"],
                        name="bookings_stand_ins",
                    ),
                    models.Index(
                        condition=models.Q(("status", "no_show")),
                        fields=["customer"],
                        name="bookings_no_shows",
                    ),
                    models.Index(
                        condition=models.Q(("series__isnull", False)),
                        fields=["series"],
                        name="bookings_by_series",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization", "reference"),
                        name="bookings_booking_reference_is_unique",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("units__gte", 1)), name="bookings_booking_has_units"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "status__in",
                                [
                                    "held",
                                    "pending",
                                    "confirmed",
                                    "reschedule_proposed",
                                    "checked_in",
                                    "completed",
                                    "no_show",
                                    "rejected",
                                    "expired",
                                    "cancelled",
                                ],
                            )
                        ),
                        name="bookings_booking_status_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status", "held"), _negated=True),
                            ("held_until__isnull", False),
                            _connector="OR",
                        ),
                        name="bookings_booking_held_has_a_deadline",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                (
                                    "status__in",
                                    (
                                        "confirmed",
                                        "reschedule_proposed",
                                        "checked_in",
                                        "completed",
                                        "no_show",
                                    ),
                                ),
                                _negated=True,
                            ),
                            ("confirmed_at__isnull", False),
                            _connector="OR",
                        ),
                        name="bookings_booking_confirmed_says_when",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status__in", ["checked_in", "completed"]), _negated=True),
                            ("checked_in_at__isnull", False),
                            _connector="OR",
                        ),
                        name="bookings_booking_checked_in_says_when",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("ended_at__isnull", False),
                                ("status__in", ("rejected", "expired", "cancelled")),
                            ),
                            models.Q(
                                models.Q(
                                    ("status__in", ("rejected", "expired", "cancelled")),
                                    _negated=True,
                                ),
                                ("ended_at__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="bookings_booking_ended_says_when",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("excused_at__isnull", True),
                                ("missed_at__isnull", False),
                                ("status", "no_show"),
                            ),
                            models.Q(
                                models.Q(("status", "no_show"), _negated=True),
                                ("missed_at__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="bookings_booking_missed_says_when",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("stands_for__isnull", True),
                            ("status__in", ["held", "expired", "cancelled"]),
                            _connector="OR",
                        ),
                        name="bookings_booking_stand_in_is_only_held",
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="follow_lifecycle",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."status" IS DISTINCT FROM (NEW."status"))',
                            func="IF (OLD.\"status\" || ':' || NEW.\"status\") <> ALL (ARRAY['checked_in:completed', 'confirmed:cancelled', 'confirmed:checked_in', 'confirmed:no_show', 'confirmed:reschedule_proposed', 'expired:pending', 'held:cancelled', 'held:expired', 'held:pending', 'no_show:confirmed', 'pending:cancelled', 'pending:confirmed', 'pending:expired', 'pending:rejected', 'reschedule_proposed:cancelled', 'reschedule_proposed:confirmed']) THEN RAISE EXCEPTION '% cannot become % on bookings_booking %', OLD.\"status\", NEW.\"status\", OLD.\"id\" USING ERRCODE = 'check_violation', CONSTRAINT = 'bookings_booking_status_follows_lifecycle'; END IF; RETURN NEW;",
                            hash="6f3fccaf6ba3f3e9d41903bcaef9657c7256a691",
                            operation="UPDATE",
                            pgid="pgtrigger_follow_lifecycle_f8514",
                            table="bookings_booking",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="bump_version",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                            func="NEW.version := OLD.version + 1; RETURN NEW;",
                            hash="1b72b3da9dad7d7b1ce2c84ad13ba4feb7d686a4",
                            operation="UPDATE",
                            pgid="pgtrigger_bump_version_2c0df",
                            table="bookings_booking",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="stay_in_organization",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."customer_id" IS DISTINCT FROM (NEW."customer_id") OR OLD."organization_id" IS DISTINCT FROM (NEW."organization_id"))',
                            func="\n            RAISE EXCEPTION 'bookings_booking % stays with whom it belongs to', OLD.id USING\n                ERRCODE = 'check_violation', CONSTRAINT = 'bookings_booking_stays_in_its_organization';\n        ",
                            hash="6cb5062ca1777cbe4ede0605bf077977079709c3",
                            operation="UPDATE",
                            pgid="pgtrigger_stay_in_organization_00af9",
                            table="bookings_booking",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="note_move",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."slot_id" IS DISTINCT FROM (NEW."slot_id"))',
                            func="NEW.slot_since := now(); RETURN NEW;",
                            hash="5f16987965341c41f5bb8ac0359b32ebb8f4d0de",
                            operation="UPDATE",
                            pgid="pgtrigger_note_move_7bf83",
                            table="bookings_booking",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="miss_after_start",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition="WHEN (NEW.missed_at IS NOT NULL AND OLD.missed_at IS DISTINCT FROM NEW.missed_at)",
                            func="\n                IF EXISTS (\n                    SELECT 1 FROM bookings_slot\n                    WHERE id = NEW.slot_id AND starts_at > NEW.missed_at\n                ) THEN\n                    RAISE EXCEPTION 'booking % has not started', NEW.id USING\n                        ERRCODE = 'check_violation',\n                        CONSTRAINT = 'bookings_booking_missed_after_its_start';\n                END IF;\n                RETURN NEW;\n            ",
                            hash="d2d8d7c2d73cc3c954005e454afeec39cbebfca5",
                            operation="UPDATE",
                            pgid="pgtrigger_miss_after_start_1f540",
                            table="bookings_booking",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="count_seats_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func="\n    IF EXISTS (\n        SELECT 1 FROM new_rows n\n        JOIN bookings_slot s ON s.id = n.slot_id JOIN bookings_customer c ON c.id = n.customer_id\n        WHERE s.organization_id <> n.organization_id OR c.organization_id <> n.organization_id\n           OR (n.status IN ('held', 'pending')\n               AND (s.status <> 'open' OR s.starts_at <= now()))\n    ) THEN\n        RAISE EXCEPTION 'the slot is closed, has started or belongs to somebody else' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_booking_slot_is_bookable';\n    END IF;\n\n    UPDATE bookings_slot s\n    SET taken_bookings = s.taken_bookings + d.b, taken_units = s.taken_units + d.u\n    FROM (\n        SELECT slot_id, sum(b)::int AS b, sum(u)::int AS u FROM (SELECT slot_id, 1 AS b, units AS u FROM new_rows WHERE status IN ('held', 'pending', 'confirmed', 'reschedule_proposed', 'checked_in')) x (slot_id, b, u)\n        GROUP BY slot_id HAVING sum(b) <> 0 OR sum(u) <> 0\n    ) d\n    WHERE s.id = d.slot_id;\n    IF NOT FOUND THEN RETURN NULL; END IF;\n    \n    INSERT INTO bookings_occupancy (slot_id, resource_number, period)\n    SELECT s.id, taken.number, tstzrange(s.busy_from, s.busy_until, '[)')\n    FROM bookings_slot s JOIN bookings_resource r ON r.id = s.resource_id\n    CROSS JOIN LATERAL unnest(\n        CASE WHEN s.exclusive THEN r.number || s.parts || s.picked ELSE s.parts || s.picked END\n    ) AS taken (number)\n    WHERE s.id IN (SELECT slot_id FROM new_rows) AND s.taken_bookings > 0\n    ON CONFLICT (slot_id, resource_number) DO NOTHING;\nRETURN NULL;",
                            hash="b19f8e2015046c8cfa592eecc5da213cee58f796",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_count_seats_insert_0e768",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_booking",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="count_seats_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func="\n    IF EXISTS (\n        SELECT 1 FROM new_rows n\n        JOIN old_rows b ON b.id = n.id AND (\n            b.slot_id <> n.slot_id\n            OR b.status = 'expired' AND n.status = 'pending'\n        )\n        JOIN bookings_slot s ON s.id = n.slot_id\n        WHERE s.organization_id <> n.organization_id OR s.starts_at <= now()\n           OR s.status <> 'open' AND NOT (s.status = 'closed' AND EXISTS (\n               SELECT 1 FROM old_rows h JOIN new_rows g ON g.id = h.id\n               WHERE h.stands_for_id = n.id AND h.slot_id = n.slot_id AND h.units >= n.units\n                 AND h.status = 'held' AND g.status = 'cancelled'\n           ))\n    ) THEN\n        RAISE EXCEPTION 'the slot is closed, has started or belongs to somebody else' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_booking_slot_is_bookable';\n    END IF;\n\n    UPDATE bookings_slot s\n    SET taken_bookings = s.taken_bookings + d.b, taken_units = s.taken_units + d.u\n    FROM (\n        SELECT slot_id, sum(b)::int AS b, sum(u)::int AS u FROM (SELECT slot_id, 1 AS b, units AS u FROM new_rows WHERE status IN ('held', 'pending', 'confirmed', 'reschedule_proposed', 'checked_in') UNION ALL SELECT slot_id, -1, -units FROM old_rows WHERE status IN ('held', 'pending', 'confirmed', 'reschedule_proposed', 'checked_in')) x (slot_id, b, u)\n        GROUP BY slot_id HAVING sum(b) <> 0 OR sum(u) <> 0\n    ) d\n    WHERE s.id = d.slot_id;\n    IF NOT FOUND THEN RETURN NULL; END IF;\n    \n    DELETE FROM bookings_occupancy o USING bookings_slot s\n    WHERE s.id IN (SELECT slot_id FROM old_rows) AND s.taken_bookings = 0 AND o.slot_id = s.id;\n\n    INSERT INTO bookings_occupancy (slot_id, resource_number, period)\n    SELECT s.id, taken.number, tstzrange(s.busy_from, s.busy_until, '[)')\n    FROM bookings_slot s JOIN bookings_resource r ON r.id = s.resource_id\n    CROSS JOIN LATERAL unnest(\n        CASE WHEN s.exclusive THEN r.number || s.parts || s.picked ELSE s.parts || s.picked END\n    ) AS taken (number)\n    WHERE s.id IN (SELECT slot_id FROM new_rows) AND s.taken_bookings > 0\n    ON CONFLICT (slot_id, resource_number) DO NOTHING;\nRETURN NULL;",
                            hash="8a3994af8a4d6e8f86006e925694d6307e2a8f6c",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_count_seats_update_0a827",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="bookings_booking",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="count_seats_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func="\n    UPDATE bookings_slot s\n    SET taken_bookings = s.taken_bookings + d.b, taken_units = s.taken_units + d.u\n    FROM (\n        SELECT slot_id, sum(b)::int AS b, sum(u)::int AS u FROM (SELECT slot_id, -1, -units FROM old_rows WHERE status IN ('held', 'pending', 'confirmed', 'reschedule_proposed', 'checked_in')) x (slot_id, b, u)\n        GROUP BY slot_id HAVING sum(b) <> 0 OR sum(u) <> 0\n    ) d\n    WHERE s.id = d.slot_id;\n    IF NOT FOUND THEN RETURN NULL; END IF;\n    \n    DELETE FROM bookings_occupancy o USING bookings_slot s\n    WHERE s.id IN (SELECT slot_id FROM old_rows) AND s.taken_bookings = 0 AND o.slot_id = s.id;\nRETURN NULL;",
                            hash="eebf563b62667bf0b3ef3944773f8e37cc07ca78",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_count_seats_delete_03af4",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="bookings_booking",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalbooking" ("id", "reference", "organization_id", "slot_id", "customer_id", "units", "status", "version", "held_until", "pending_until", "created_at", "requested_at", "confirmed_at", "checked_in_at", "missed_at", "excused_at", "slot_since", "ended_at", "ended_reason", "stands_for_id", "series_id", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."reference", n."organization_id", n."slot_id", n."customer_id", n."units", n."status", n."version", n."held_until", n."pending_until", n."created_at", n."requested_at", n."confirmed_at", n."checked_in_at", n."missed_at", n."excused_at", n."slot_since", n."ended_at", n."ended_reason", n."stands_for_id", n."series_id", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="0d93a1a55c4acdec8b462faa65a2fbb6563326f3",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_d9acd",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_booking",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalbooking" ("id", "reference", "organization_id", "slot_id", "customer_id", "units", "status", "version", "held_until", "pending_until", "created_at", "requested_at", "confirmed_at", "checked_in_at", "missed_at", "excused_at", "slot_since", "ended_at", "ended_reason", "stands_for_id", "series_id", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."reference", n."organization_id", n."slot_id", n."customer_id", n."units", n."status", n."version", n."held_until", n."pending_until", n."created_at", n."requested_at", n."confirmed_at", n."checked_in_at", n."missed_at", n."excused_at", n."slot_since", n."ended_at", n."ended_reason", n."stands_for_id", n."series_id", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."reference", n."organization_id", n."slot_id", n."customer_id", n."units", n."status", n."version", n."held_until", n."pending_until", n."created_at", n."requested_at", n."confirmed_at", n."checked_in_at", n."missed_at", n."excused_at", n."slot_since", n."ended_at", n."ended_reason", n."stands_for_id", n."series_id") IS DISTINCT FROM ROW(o."id", o."reference", o."organization_id", o."slot_id", o."customer_id", o."units", o."status", o."version", o."held_until", o."pending_until", o."created_at", o."requested_at", o."confirmed_at", o."checked_in_at", o."missed_at", o."excused_at", o."slot_since", o."ended_at", o."ended_reason", o."stands_for_id", o."series_id"); RETURN NULL;',
                            hash="da2f93b6a0cac576cc1f870679c45e6839ae68fa",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_251d7",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="bookings_booking",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalbooking" ("id", "reference", "organization_id", "slot_id", "customer_id", "units", "status", "version", "held_until", "pending_until", "created_at", "requested_at", "confirmed_at", "checked_in_at", "missed_at", "excused_at", "slot_since", "ended_at", "ended_reason", "stands_for_id", "series_id", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."reference", o."organization_id", o."slot_id", o."customer_id", o."units", o."status", o."version", o."held_until", o."pending_until", o."created_at", o."requested_at", o."confirmed_at", o."checked_in_at", o."missed_at", o."excused_at", o."slot_since", o."ended_at", o."ended_reason", o."stands_for_id", o."series_id", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="b96e5c5c771ad379b58af8d928f7ef71b9eb4f22",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_f2cc7",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="bookings_booking",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="CheckInCode",
            fields=[
                (
                    "booking",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="check_in_code",
                        serialize=False,
                        to="bookings.booking",
                    ),
                ),
                ("nonce", models.BinaryField(max_length=16)),
                ("code_hash", models.BinaryField(max_length=32, unique=True)),
                ("created_at", models.DateTimeField()),
                ("used_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "check-in code",
                "verbose_name_plural": "check-in codes",
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalcheckincode" ("booking_id", "code_hash", "created_at", "used_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."booking_id", n."code_hash", n."created_at", n."used_at", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="0591967a17e8e49c6160890a7faf14f116b15550",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_0430c",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_checkincode",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalcheckincode" ("booking_id", "code_hash", "created_at", "used_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."booking_id", n."code_hash", n."created_at", n."used_at", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."booking_id" = n."booking_id", audit_context() c WHERE ROW(n."booking_id", n."code_hash", n."created_at", n."used_at") IS DISTINCT FROM ROW(o."booking_id", o."code_hash", o."created_at", o."used_at"); RETURN NULL;',
                            hash="c81b7b62f25d96680f6ad424acf2653c0680d7b8",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_a0fd2",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="bookings_checkincode",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalcheckincode" ("booking_id", "code_hash", "created_at", "used_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."booking_id", o."code_hash", o."created_at", o."used_at", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="e26a770ec1bf618d0121f6683f6b50539abbd98a",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_19a03",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="bookings_checkincode",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Proposal",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("open", "waiting for an answer"),
                            ("accepted", "accepted"),
                            ("declined", "declined"),
                            ("expired", "expired"),
                            ("withdrawn", "withdrawn"),
                        ],
                        default="open",
                        max_length=12,
                        verbose_name="status",
                    ),
                ),
                ("expires_at", models.DateTimeField(verbose_name="answer until")),
                ("message", models.CharField(blank=True, max_length=500, verbose_name="message")),
                (
                    "terms",
                    models.CharField(
                        blank=True,
                        help_text="What stays as it was agreed.",
                        max_length=200,
                        verbose_name="terms",
                    ),
                ),
                (
                    "proposed_by",
                    models.CharField(blank=True, max_length=200, verbose_name="proposed by"),
                ),
                ("created_at", models.DateTimeField(verbose_name="proposed at")),
                (
                    "answered_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="answered at"),
                ),
                (
                    "booking",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="proposals",
                        to="bookings.booking",
                        verbose_name="booking",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "stand_in",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="proposal",
                        to="bookings.booking",
                    ),
                ),
            ],
            options={
                "verbose_name": "proposal",
                "verbose_name_plural": "proposals",
                "ordering": ["-created_at"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status", "open")),
                        fields=("booking",),
                        name="bookings_proposal_one_open_per_booking",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["open", "accepted", "declined", "expired", "withdrawn"])
                        ),
                        name="bookings_proposal_status_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("answered_at__isnull", True), ("status", "open")),
                            models.Q(
                                models.Q(("status", "open"), _negated=True),
                                ("answered_at__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="bookings_proposal_answered_says_when",
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="follow_lifecycle",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."status" IS DISTINCT FROM (NEW."status"))',
                            func="IF (OLD.\"status\" || ':' || NEW.\"status\") <> ALL (ARRAY['open:accepted', 'open:declined', 'open:expired', 'open:withdrawn']) THEN RAISE EXCEPTION '% cannot become % on bookings_proposal %', OLD.\"status\", NEW.\"status\", OLD.\"id\" USING ERRCODE = 'check_violation', CONSTRAINT = 'bookings_proposal_status_follows_lifecycle'; END IF; RETURN NEW;",
                            hash="c072f0f227f88ffc5cadf7b42e44fc132bb39d9f",
                            operation="UPDATE",
                            pgid="pgtrigger_follow_lifecycle_c483d",
                            table="bookings_proposal",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalproposal" ("id", "organization_id", "booking_id", "stand_in_id", "status", "expires_at", "message", "terms", "proposed_by", "created_at", "answered_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."booking_id", n."stand_in_id", n."status", n."expires_at", n."message", n."terms", n."proposed_by", n."created_at", n."answered_at", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="eb8ec8118ffa0344e90db8c18084e93bc9dda5db",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_644b3",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="bookings_proposal",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalproposal" ("id", "organization_id", "booking_id", "stand_in_id", "status", "expires_at", "message", "terms", "proposed_by", "created_at", "answered_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."booking_id", n."stand_in_id", n."status", n."expires_at", n."message", n."terms", n."proposed_by", n."created_at", n."answered_at", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."booking_id", n."stand_in_id", n."status", n."expires_at", n."message", n."terms", n."proposed_by", n."created_at", n."answered_at") IS DISTINCT FROM ROW(o."id", o."organization_id", o."booking_id", o."stand_in_id", o."status", o."expires_at", o."message", o."terms", o."proposed_by", o."created_at", o."answered_at"); RETURN NULL;',
                            hash="48f08f691303a0fe7a5c9c0de619c536b1d7e11a",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_c969d",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="bookings_proposal",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "bookings_historicalproposal" ("id", "organization_id", "booking_id", "stand_in_id", "status", "expires_at", "message", "terms", "proposed_by", "created_at", "answered_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."booking_id", o."stand_in_id", o."status", o."expires_at", o."message", o."terms", o."proposed_by", o."created_at", o."answered_at", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="ccd8b2df545d91c5bde6e95261e9c2e5d4701374",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_4e617",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="bookings_proposal",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Reminder",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("hours", models.PositiveSmallIntegerField(verbose_name="hours before the start")),
                ("created_at", models.DateTimeField(verbose_name="reminded at")),
                (
                    "booking",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reminders",
                        to="bookings.booking",
                    ),
                ),
                (
                    "slot",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.slot",
                    ),
                ),
            ],
            options={
                "verbose_name": "reminder",
                "verbose_name_plural": "reminders",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("booking", "slot", "hours"), name="bookings_reminder_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalOrganization",
            fields=[
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("customer", "customer"),
                            ("staff", "staff"),
                            ("system", "system"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=200)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(max_length=400)),
                ("request_id", models.CharField(max_length=64)),
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False)),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "slug",
                    models.SlugField(
                        db_index=False, max_length=60, verbose_name="short name in addresses"
                    ),
                ),
                (
                    "time_zone",
                    models.CharField(
                        default="UTC",
                        max_length=60,
                        validators=[bookings.models.organization.validate_time_zone],
                        verbose_name="time zone",
                    ),
                ),
                (
                    "email",
                    models.EmailField(blank=True, max_length=254, verbose_name="contact e-mail"),
                ),
                (
                    "hold_minutes",
                    models.PositiveSmallIntegerField(
                        default=15,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="minutes a cart holds seats",
                    ),
                ),
                (
                    "pending_hours",
                    models.PositiveSmallIntegerField(
                        default=24,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="hours until an unpaid booking expires",
                    ),
                ),
                (
                    "proposal_hours",
                    models.PositiveSmallIntegerField(
                        default=48,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="hours to answer a proposed time",
                    ),
                ),
                (
                    "no_show_minutes",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        default=60,
                        help_text="Empty: only the staff mark somebody as a no-show.",
                        null=True,
                        validators=[
                            django.core.validators.MaxValueValidator(
                                1440,
                                "At most %(limit_value)s minutes, which is a day. Empty: only the staff mark somebody.",
                            )
                        ],
                        verbose_name="minutes after the end until who did not come is a no-show",
                    ),
                ),
                (
                    "no_show_limit",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Staff can still book for them, with a reason. Empty: no limit.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="no-shows after which customers cannot book themselves",
                    ),
                ),
                (
                    "no_show_days",
                    models.PositiveSmallIntegerField(
                        default=365,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="days for which a no-show counts",
                    ),
                ),
                (
                    "reminder_hours",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveSmallIntegerField(
                            validators=[
                                django.core.validators.MinValueValidator(1),
                                django.core.validators.MaxValueValidator(720),
                            ]
                        ),
                        blank=True,
                        default=bookings.models.organization.default_reminders,
                        help_text="Separated by commas, such as 24,2. Empty: nobody is reminded.",
                        size=5,
                        validators=[bookings.models.organization.validate_reminders],
                        verbose_name="hours before the start at which customers are reminded",
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                ("created_at", models.DateTimeField(blank=True, editable=False)),
                ("history_user_id", models.UUIDField(null=True)),
                ("history_change_reason", models.TextField(blank=True, default="")),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField()),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
            ],
            options={
                "verbose_name": "historical organisation",
                "verbose_name_plural": "historical organisations",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="bookings_hi_id_d3a0d2_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="bookings_hi_history_2c7224_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalMembership",
            fields=[
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("customer", "customer"),
                            ("staff", "staff"),
                            ("system", "system"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=200)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(max_length=400)),
                ("request_id", models.CharField(max_length=64)),
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False)),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("owner", "owner"),
                            ("manager", "manager"),
                            ("reviewer", "reviewer"),
                            ("front_desk", "front desk"),
                            ("provider", "provider"),
                        ],
                        max_length=20,
                        verbose_name="role",
                    ),
                ),
                ("created_at", models.DateTimeField(blank=True, editable=False)),
                ("history_user_id", models.UUIDField(null=True)),
                ("history_change_reason", models.TextField(blank=True, default="")),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField()),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical staff member",
                "verbose_name_plural": "historical staff members",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="bookings_hi_id_c13b71_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="bookings_hi_history_9d1a24_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalCustomer",
            fields=[
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("customer", "customer"),
                            ("staff", "staff"),
                            ("system", "system"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=200)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(max_length=400)),
                ("request_id", models.CharField(max_length=64)),
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False)),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "email",
                    models.EmailField(blank=True, max_length=254, verbose_name="e-mail address"),
                ),
                (
                    "phone",
                    phonenumber_field.modelfields.PhoneNumberField(
                        blank=True, max_length=128, region=None, verbose_name="phone"
                    ),
                ),
                (
                    "language",
                    models.CharField(default="en", max_length=10, verbose_name="language"),
                ),
                (
                    "time_zone",
                    models.CharField(
                        blank=True,
                        help_text="Empty: the organisation's.",
                        max_length=60,
                        validators=[bookings.models.organization.validate_time_zone],
                        verbose_name="time zone",
                    ),
                ),
                ("notes", models.TextField(blank=True, verbose_name="notes of the staff")),
                ("created_at", models.DateTimeField(blank=True, editable=False)),
                ("history_user_id", models.UUIDField(null=True)),
                ("history_change_reason", models.TextField(blank=True, default="")),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField()),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="account",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical customer",
                "verbose_name_plural": "historical customers",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="bookings_hi_id_ab7e9b_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="bookings_hi_history_b7fae6_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalResource",
            fields=[
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("customer", "customer"),
                            ("staff", "staff"),
                            ("system", "system"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=200)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(max_length=400)),
                ("request_id", models.CharField(max_length=64)),
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False)),
                (
                    "number",
                    models.BigIntegerField(
                        db_default=models.Func(
                            models.Value("bookings_resource_number"),
                            function="nextval",
                            output_field=models.BigIntegerField(),
                        ),
                        editable=False,
                    ),
                ),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("place", "place"),
                            ("person", "person"),
                            ("activity", "activity"),
                        ],
                        default="place",
                        max_length=20,
                        verbose_name="kind",
                    ),
                ),
                ("description", models.TextField(blank=True, verbose_name="description")),
                (
                    "time_zone",
                    models.CharField(
                        default="UTC",
                        max_length=60,
                        validators=[bookings.models.organization.validate_time_zone],
                        verbose_name="time zone",
                    ),
                ),
                (
                    "exclusive",
                    models.BooleanField(
                        default=True,
                        help_text="At most one booking at a time, like a court or a doctor.",
                        verbose_name="exclusive",
                    ),
                ),
                (
                    "buffer_before_minutes",
                    models.PositiveSmallIntegerField(
                        default=0, verbose_name="minutes kept free before"
                    ),
                ),
                (
                    "buffer_after_minutes",
                    models.PositiveSmallIntegerField(
                        default=0, verbose_name="minutes kept free after"
                    ),
                ),
                (
                    "parts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), default=list, editable=False, size=None
                    ),
                ),
                (
                    "pools",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), default=list, editable=False, size=None
                    ),
                ),
                (
                    "mode",
                    models.CharField(
                        choices=[
                            ("slots", "in fixed slots"),
                            ("free_times", "from any time, for as long as wanted"),
                        ],
                        default="slots",
                        max_length=12,
                        verbose_name="booked",
                    ),
                ),
                (
                    "notice_minutes",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="How long before the start customers may still book.",
                        verbose_name="notice in minutes",
                    ),
                ),
                (
                    "horizon_days",
                    models.PositiveSmallIntegerField(
                        default=365,
                        help_text="How far ahead slots are made and customers may book.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(730),
                        ],
                        verbose_name="days ahead",
                    ),
                ),
                (
                    "grid_minutes",
                    models.PositiveSmallIntegerField(
                        default=15,
                        help_text="Where times are free: a booking may start this often.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1440),
                        ],
                        verbose_name="starts every (minutes)",
                    ),
                ),
                (
                    "shortest_minutes",
                    models.PositiveSmallIntegerField(
                        default=15,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="shortest booking in minutes",
                    ),
                ),
                (
                    "longest_minutes",
                    models.PositiveSmallIntegerField(
                        default=240,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="longest booking in minutes",
                    ),
                ),
                (
                    "most_live_bookings",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Of this, and not over yet. Empty: no limit.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="most bookings of one customer at a time",
                    ),
                ),
                (
                    "cancel_until_minutes",
                    models.PositiveIntegerField(
                        default=0, verbose_name="customers may cancel until (minutes before)"
                    ),
                ),
                (
                    "customers_may_cancel",
                    models.BooleanField(
                        db_default=True,
                        default=True,
                        help_text="If not, only the staff cancel what is confirmed.",
                        verbose_name="customers may cancel",
                    ),
                ),
                (
                    "reschedule_until_minutes",
                    models.PositiveIntegerField(
                        default=0, verbose_name="customers may reschedule until (minutes before)"
                    ),
                ),
                (
                    "needs_approval",
                    models.BooleanField(
                        default=False,
                        help_text="Staff confirm each booking, even what is free or paid on arrival.",
                        verbose_name="needs approval",
                    ),
                ),
                (
                    "observes_holidays",
                    models.BooleanField(default=True, verbose_name="closed on holidays"),
                ),
                (
                    "takes_waitlist",
                    models.BooleanField(
                        default=True,
                        help_text="Customers can wait in line for what is full.",
                        verbose_name="has a waitlist",
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                ("created_at", models.DateTimeField(blank=True, editable=False)),
                ("history_user_id", models.UUIDField(null=True)),
                ("history_change_reason", models.TextField(blank=True, default="")),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField()),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "provider",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        help_text="The staff member whose calendar this is.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="provider",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical resource",
                "verbose_name_plural": "historical resources",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="bookings_hi_id_e12769_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="bookings_hi_history_7a9771_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalSlot",
            fields=[
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("customer", "customer"),
                            ("staff", "staff"),
                            ("system", "system"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=200)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(max_length=400)),
                ("request_id", models.CharField(max_length=64)),
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False)),
                ("starts_at", models.DateTimeField(verbose_name="starts at")),
                ("ends_at", models.DateTimeField(verbose_name="ends at")),
                ("busy_from", models.DateTimeField(editable=False)),
                ("busy_until", models.DateTimeField(editable=False)),
                ("exclusive", models.BooleanField(editable=False)),
                (
                    "max_bookings",
                    models.PositiveIntegerField(
                        default=1,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="most bookings",
                    ),
                ),
                (
                    "max_units",
                    models.PositiveIntegerField(
                        default=1,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="most people",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("open", "open"), ("closed", "closed"), ("legacy", "legacy")],
                        default="open",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("hand", "by hand"),
                            ("schedule", "by the schedule"),
                            ("free", "with a booking"),
                        ],
                        default="hand",
                        editable=False,
                        max_length=10,
                        verbose_name="made",
                    ),
                ),
                (
                    "parts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), default=list, editable=False, size=None
                    ),
                ),
                (
                    "pools",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), default=list, editable=False, size=None
                    ),
                ),
                (
                    "picked",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), default=list, editable=False, size=None
                    ),
                ),
                (
                    "stays_closed",
                    models.BooleanField(db_default=False, default=False, editable=False),
                ),
                (
                    "limits_by_hand",
                    models.BooleanField(db_default=False, default=False, editable=False),
                ),
                ("shut", models.BooleanField(db_default=False, default=False, editable=False)),
                ("opened_at", models.DateTimeField(editable=False, null=True)),
                ("created_at", models.DateTimeField(blank=True, editable=False)),
                ("history_user_id", models.UUIDField(null=True)),
                ("history_change_reason", models.TextField(blank=True, default="")),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField()),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "resource",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.resource",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical slot",
                "verbose_name_plural": "historical slots",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="bookings_hi_id_e06924_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="bookings_hi_history_8cc95a_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalBooking",
            fields=[
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("customer", "customer"),
                            ("staff", "staff"),
                            ("system", "system"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=200)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(max_length=400)),
                ("request_id", models.CharField(max_length=64)),
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False)),
                (
                    "reference",
                    models.CharField(
                        default=bookings.models.booking.new_reference,
                        editable=False,
                        max_length=11,
                        verbose_name="reference",
                    ),
                ),
                ("units", models.PositiveIntegerField(default=1, verbose_name="people")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("held", "held"),
                            ("pending", "pending"),
                            ("confirmed", "confirmed"),
                            ("reschedule_proposed", "reschedule proposed"),
                            ("checked_in", "checked in"),
                            ("completed", "completed"),
                            ("no_show", "no-show"),
                            ("rejected", "rejected"),
                            ("expired", "expired"),
                            ("cancelled", "cancelled"),
                        ],
                        default="held",
                        max_length=20,
                        verbose_name="status",
                    ),
                ),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                (
                    "held_until",
                    models.DateTimeField(blank=True, null=True, verbose_name="held until"),
                ),
                (
                    "pending_until",
                    models.DateTimeField(blank=True, null=True, verbose_name="pending until"),
                ),
                ("created_at", models.DateTimeField(verbose_name="made at")),
                ("requested_at", models.DateTimeField(blank=True, null=True)),
                (
                    "confirmed_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="confirmed at"),
                ),
                (
                    "checked_in_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="checked in at"),
                ),
                (
                    "missed_at",
                    models.DateTimeField(
                        blank=True, null=True, verbose_name="marked as a no-show at"
                    ),
                ),
                (
                    "excused_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="excused at"),
                ),
                (
                    "slot_since",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="moved at"
                    ),
                ),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended at")),
                (
                    "ended_reason",
                    models.CharField(blank=True, max_length=500, verbose_name="reason"),
                ),
                ("history_user_id", models.UUIDField(null=True)),
                ("history_change_reason", models.TextField(blank=True, default="")),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField()),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.customer",
                    ),
                ),
                (
                    "stands_for",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.booking",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "series",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.series",
                        verbose_name="series",
                    ),
                ),
                (
                    "slot",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.slot",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical booking",
                "verbose_name_plural": "historical bookings",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="bookings_hi_id_cc3042_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="bookings_hi_history_e4e298_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalCheckInCode",
            fields=[
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("customer", "customer"),
                            ("staff", "staff"),
                            ("system", "system"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=200)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(max_length=400)),
                ("request_id", models.CharField(max_length=64)),
                ("code_hash", models.BinaryField(max_length=32)),
                ("created_at", models.DateTimeField()),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                ("history_user_id", models.UUIDField(null=True)),
                ("history_change_reason", models.TextField(blank=True, default="")),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField()),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "booking",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.booking",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical check-in code",
                "verbose_name_plural": "historical check-in codes",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(
                        fields=["booking_id", "history_id"], name="bookings_hi_booking_2b2ae6_idx"
                    ),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="bookings_hi_history_f656ca_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalResourcePart",
            fields=[
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("customer", "customer"),
                            ("staff", "staff"),
                            ("system", "system"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=200)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(max_length=400)),
                ("request_id", models.CharField(max_length=64)),
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False)),
                ("history_user_id", models.UUIDField(null=True)),
                ("history_change_reason", models.TextField(blank=True, default="")),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField()),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.organization",
                    ),
                ),
                (
                    "part",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.resource",
                        verbose_name="part",
                    ),
                ),
                (
                    "whole",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.resource",
                        verbose_name="whole",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical part",
                "verbose_name_plural": "historical made of",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="bookings_hi_id_43e039_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="bookings_hi_history_40d468_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalPool",
            fields=[
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("customer", "customer"),
                            ("staff", "staff"),
                            ("system", "system"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=200)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(max_length=400)),
                ("request_id", models.CharField(max_length=64)),
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False)),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                ("history_user_id", models.UUIDField(null=True)),
                ("history_change_reason", models.TextField(blank=True, default="")),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField()),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical pool",
                "verbose_name_plural": "historical pools",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="bookings_hi_id_05790f_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="bookings_hi_history_8adfa3_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalPoolMember",
            fields=[
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("customer", "customer"),
                            ("staff", "staff"),
                            ("system", "system"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=200)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(max_length=400)),
                ("request_id", models.CharField(max_length=64)),
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False)),
                ("history_user_id", models.UUIDField(null=True)),
                ("history_change_reason", models.TextField(blank=True, default="")),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField()),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "pool",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.pool",
                    ),
                ),
                (
                    "resource",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.resource",
                        verbose_name="resource",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical member",
                "verbose_name_plural": "historical members",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="bookings_hi_id_12bc4d_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="bookings_hi_history_369399_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalPoolNeed",
            fields=[
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("customer", "customer"),
                            ("staff", "staff"),
                            ("system", "system"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=200)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(max_length=400)),
                ("request_id", models.CharField(max_length=64)),
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False)),
                ("history_user_id", models.UUIDField(null=True)),
                ("history_change_reason", models.TextField(blank=True, default="")),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField()),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.organization",
                    ),
                ),
                (
                    "pool",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.pool",
                        verbose_name="pool",
                    ),
                ),
                (
                    "resource",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.resource",
                        verbose_name="resource",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical need",
                "verbose_name_plural": "historical needs one out of",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="bookings_hi_id_81b4ca_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="bookings_hi_history_a53047_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalProposal",
            fields=[
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("customer", "customer"),
                            ("staff", "staff"),
                            ("system", "system"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=200)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(max_length=400)),
                ("request_id", models.CharField(max_length=64)),
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("open", "waiting for an answer"),
                            ("accepted", "accepted"),
                            ("declined", "declined"),
                            ("expired", "expired"),
                            ("withdrawn", "withdrawn"),
                        ],
                        default="open",
                        max_length=12,
                        verbose_name="status",
                    ),
                ),
                ("expires_at", models.DateTimeField(verbose_name="answer until")),
                ("message", models.CharField(blank=True, max_length=500, verbose_name="message")),
                (
                    "terms",
                    models.CharField(
                        blank=True,
                        help_text="What stays as it was agreed.",
                        max_length=200,
                        verbose_name="terms",
                    ),
                ),
                (
                    "proposed_by",
                    models.CharField(blank=True, max_length=200, verbose_name="proposed by"),
                ),
                ("created_at", models.DateTimeField(verbose_name="proposed at")),
                (
                    "answered_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="answered at"),
                ),
                ("history_user_id", models.UUIDField(null=True)),
                ("history_change_reason", models.TextField(blank=True, default="")),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField()),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "booking",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.booking",
                        verbose_name="booking",
                    ),
                ),
                (
                    "stand_in",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.booking",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical proposal",
                "verbose_name_plural": "historical proposals",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="bookings_hi_id_2fbe30_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="bookings_hi_history_ce2b89_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalSchedule",
            fields=[
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("customer", "customer"),
                            ("staff", "staff"),
                            ("system", "system"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=200)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(max_length=400)),
                ("request_id", models.CharField(max_length=64)),
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False)),
                ("number", models.PositiveIntegerField(verbose_name="version")),
                ("valid_from", models.DateField(verbose_name="valid from")),
                (
                    "time_zone",
                    models.CharField(
                        max_length=60,
                        validators=[bookings.models.organization.validate_time_zone],
                        verbose_name="time zone",
                    ),
                ),
                ("note", models.CharField(blank=True, max_length=500, verbose_name="what changed")),
                ("created_at", models.DateTimeField(verbose_name="made at")),
                (
                    "created_by",
                    models.CharField(blank=True, max_length=200, verbose_name="made by"),
                ),
                ("history_user_id", models.UUIDField(null=True)),
                ("history_change_reason", models.TextField(blank=True, default="")),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField()),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "resource",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.resource",
                        verbose_name="resource",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical schedule",
                "verbose_name_plural": "historical schedules",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="bookings_hi_id_d2e6b3_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="bookings_hi_history_e27cb2_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalScheduleRule",
            fields=[
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("customer", "customer"),
                            ("staff", "staff"),
                            ("system", "system"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=200)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(max_length=400)),
                ("request_id", models.CharField(max_length=64)),
                (
                    "slot_minutes",
                    models.PositiveSmallIntegerField(
                        default=60,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1440),
                        ],
                        verbose_name="slot length in minutes",
                    ),
                ),
                (
                    "gap_minutes",
                    models.PositiveSmallIntegerField(
                        default=0,
                        validators=[django.core.validators.MaxValueValidator(1440)],
                        verbose_name="minutes between slots",
                    ),
                ),
                (
                    "buffer_before_minutes",
                    models.PositiveSmallIntegerField(
                        default=0,
                        validators=[django.core.validators.MaxValueValidator(1440)],
                        verbose_name="minutes kept free before",
                    ),
                ),
                (
                    "buffer_after_minutes",
                    models.PositiveSmallIntegerField(
                        default=0,
                        validators=[django.core.validators.MaxValueValidator(1440)],
                        verbose_name="minutes kept free after",
                    ),
                ),
                (
                    "max_bookings",
                    models.PositiveIntegerField(
                        default=1,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="most bookings",
                    ),
                ),
                (
                    "max_units",
                    models.PositiveIntegerField(
                        default=1,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="most people",
                    ),
                ),
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False)),
                ("from_time", models.TimeField(verbose_name="from")),
                ("until_time", models.TimeField(verbose_name="until")),
                (
                    "weekdays",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveSmallIntegerField(
                            choices=[
                                (1, "Monday"),
                                (2, "Tuesday"),
                                (3, "Wednesday"),
                                (4, "Thursday"),
                                (5, "Friday"),
                                (6, "Saturday"),
                                (7, "Sunday"),
                            ]
                        ),
                        blank=True,
                        default=list,
                        help_text="1 is Monday, 7 is Sunday. Empty: every day.",
                        size=None,
                        verbose_name="weekdays",
                    ),
                ),
                ("valid_from", models.DateField(blank=True, null=True, verbose_name="valid from")),
                (
                    "valid_until",
                    models.DateField(blank=True, null=True, verbose_name="valid until"),
                ),
                ("history_user_id", models.UUIDField(null=True)),
                ("history_change_reason", models.TextField(blank=True, default="")),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField()),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "schedule",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.schedule",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical rule",
                "verbose_name_plural": "historical rules",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="bookings_hi_id_8aa023_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="bookings_hi_history_392a72_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalScheduleException",
            fields=[
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("customer", "customer"),
                            ("staff", "staff"),
                            ("system", "system"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=200)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(max_length=400)),
                ("request_id", models.CharField(max_length=64)),
                (
                    "slot_minutes",
                    models.PositiveSmallIntegerField(
                        default=60,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1440),
                        ],
                        verbose_name="slot length in minutes",
                    ),
                ),
                (
                    "gap_minutes",
                    models.PositiveSmallIntegerField(
                        default=0,
                        validators=[django.core.validators.MaxValueValidator(1440)],
                        verbose_name="minutes between slots",
                    ),
                ),
                (
                    "buffer_before_minutes",
                    models.PositiveSmallIntegerField(
                        default=0,
                        validators=[django.core.validators.MaxValueValidator(1440)],
                        verbose_name="minutes kept free before",
                    ),
                ),
                (
                    "buffer_after_minutes",
                    models.PositiveSmallIntegerField(
                        default=0,
                        validators=[django.core.validators.MaxValueValidator(1440)],
                        verbose_name="minutes kept free after",
                    ),
                ),
                (
                    "max_bookings",
                    models.PositiveIntegerField(
                        default=1,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="most bookings",
                    ),
                ),
                (
                    "max_units",
                    models.PositiveIntegerField(
                        default=1,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="most people",
                    ),
                ),
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("closed", "closed"),
                            ("holiday", "holiday"),
                            ("extra", "extra hours"),
                        ],
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                ("first_day", models.DateField(verbose_name="first day")),
                ("last_day", models.DateField(verbose_name="last day")),
                ("from_time", models.TimeField(blank=True, null=True, verbose_name="from")),
                ("until_time", models.TimeField(blank=True, null=True, verbose_name="until")),
                ("uid", models.CharField(blank=True, editable=False, max_length=255)),
                ("created_at", models.DateTimeField(verbose_name="made at")),
                (
                    "withdrawn_at",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="withdrawn at"
                    ),
                ),
                ("history_user_id", models.UUIDField(null=True)),
                ("history_change_reason", models.TextField(blank=True, default="")),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField()),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "resource",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        help_text="Empty: all resources.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.resource",
                        verbose_name="resource",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical exception",
                "verbose_name_plural": "historical exceptions",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="bookings_hi_id_07fa7c_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="bookings_hi_history_10ad8c_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalSeries",
            fields=[
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("customer", "customer"),
                            ("staff", "staff"),
                            ("system", "system"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=200)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(max_length=400)),
                ("request_id", models.CharField(max_length=64)),
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False)),
                ("starts_at", models.DateTimeField(verbose_name="first start")),
                ("ends_at", models.DateTimeField(verbose_name="first end")),
                (
                    "every_weeks",
                    models.PositiveSmallIntegerField(
                        default=1,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(52),
                        ],
                        verbose_name="every (weeks)",
                    ),
                ),
                (
                    "times",
                    models.PositiveSmallIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(100),
                        ],
                        verbose_name="how often",
                    ),
                ),
                ("units", models.PositiveIntegerField(default=1, verbose_name="people")),
                ("created_at", models.DateTimeField(verbose_name="made at")),
                ("history_user_id", models.UUIDField(null=True)),
                ("history_change_reason", models.TextField(blank=True, default="")),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField()),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.customer",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.organization",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "resource",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.resource",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical series",
                "verbose_name_plural": "historical series",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="bookings_hi_id_043481_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="bookings_hi_history_92388d_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalUser",
            fields=[
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("customer", "customer"),
                            ("staff", "staff"),
                            ("system", "system"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=200)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(max_length=400)),
                ("request_id", models.CharField(max_length=64)),
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False)),
                ("email", models.EmailField(max_length=254, verbose_name="e-mail address")),
                ("name", models.CharField(blank=True, max_length=200, verbose_name="name")),
                (
                    "language",
                    models.CharField(default="en", max_length=10, verbose_name="language"),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                (
                    "is_staff",
                    models.BooleanField(default=False, verbose_name="may sign in to the admin"),
                ),
                (
                    "date_joined",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "password_changed_at",
                    models.DateTimeField(blank=True, editable=False, null=True),
                ),
                ("history_user_id", models.UUIDField(null=True)),
                ("history_change_reason", models.TextField(blank=True, default="")),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField()),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
            ],
            options={
                "verbose_name": "historical user",
                "verbose_name_plural": "historical users",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="bookings_hi_id_74f0d6_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="bookings_hi_history_3f4c56_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
    ]
