"""The line, its offers and its policy; see bookings."""

import audit.ids
import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.deletion
import pgtrigger.compiler
import simple_history.models
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [("waitlist", "0001_waitlist")]

    initial = True

    dependencies = [
        ("bookings", "0001_tables"),
    ]

    operations = [
        migrations.CreateModel(
            name="WaitlistEntry",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "from_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="any time from"),
                ),
                ("until_at", models.DateTimeField(blank=True, null=True, verbose_name="until")),
                (
                    "units",
                    models.PositiveIntegerField(
                        default=1,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="people",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("waiting", "waiting"),
                            ("offered", "offered seats"),
                            ("accepted", "accepted, not approved yet"),
                            ("fulfilled", "got seats"),
                            ("settled", "settled"),
                            ("declined", "declined"),
                            ("expired", "ran out"),
                            ("left", "left the line"),
                            ("closed", "closed"),
                        ],
                        default="waiting",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                ("joined_at", models.DateTimeField(verbose_name="joined at")),
                ("placed_at", models.DateTimeField(verbose_name="place in line")),
                ("passed_over", models.PositiveIntegerField(default=0, verbose_name="passed over")),
                (
                    "passed_over_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="last passed over at"),
                ),
                (
                    "passed_over_reason",
                    models.CharField(blank=True, max_length=300, verbose_name="why"),
                ),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended at")),
                (
                    "ended_reason",
                    models.CharField(blank=True, max_length=500, verbose_name="reason"),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="waitlist_entries",
                        to="bookings.customer",
                        verbose_name="customer",
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
                        related_name="waitlist_entries",
                        to="bookings.resource",
                        verbose_name="resource",
                    ),
                ),
                (
                    "slot",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="waitlist_entries",
                        to="bookings.slot",
                        verbose_name="slot",
                    ),
                ),
            ],
            options={
                "verbose_name": "waitlist entry",
                "verbose_name_plural": "waitlist",
                "ordering": ["placed_at", "id"],
                "permissions": [
                    ("offer_waitlistentry", "Can offer seats by hand and change the line")
                ],
                "indexes": [
                    models.Index(
                        condition=models.Q(
                            ("slot__isnull", False),
                            ("status__in", ("waiting", "offered", "accepted")),
                        ),
                        fields=["slot", "placed_at"],
                        name="waitlist_line_of_slot",
                    ),
                    models.Index(
                        condition=models.Q(
                            ("slot__isnull", True),
                            ("status__in", ("waiting", "offered", "accepted")),
                        ),
                        fields=["resource", "placed_at"],
                        name="waitlist_line_of_resource",
                    ),
                    models.Index(
                        condition=models.Q(("status__in", ("waiting", "offered", "accepted"))),
                        fields=["id"],
                        name="waitlist_going_on",
                    ),
                    models.Index(
                        fields=["organization", "-joined_at", "-id"],
                        name="waitlist_wa_organiz_322406_idx",
                    ),
                    models.Index(
                        fields=["customer", "-joined_at"], name="waitlist_wa_custome_73dc83_idx"
                    ),
                    models.Index(fields=["slot"], name="waitlist_by_slot"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("units__gte", 1)), name="waitlist_entry_is_for_somebody"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "status__in",
                                [
                                    "waiting",
                                    "offered",
                                    "accepted",
                                    "fulfilled",
                                    "settled",
                                    "declined",
                                    "expired",
                                    "left",
                                    "closed",
                                ],
                            )
                        ),
                        name="waitlist_entry_status_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("from_at__isnull", True),
                                ("slot__isnull", False),
                                ("until_at__isnull", True),
                            ),
                            models.Q(
                                ("from_at__isnull", False),
                                ("slot__isnull", True),
                                ("until_at__gt", models.F("from_at")),
                                ("until_at__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="waitlist_entry_is_for_a_slot_or_a_window",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("ended_at__isnull", True),
                                ("status__in", ("waiting", "offered", "accepted")),
                            ),
                            models.Q(
                                models.Q(
                                    ("status__in", ("waiting", "offered", "accepted")),
                                    _negated=True,
                                ),
                                ("ended_at__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="waitlist_entry_ended_says_when",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(
                            ("slot__isnull", False), ("status__in", ("waiting", "offered"))
                        ),
                        fields=("customer", "slot"),
                        name="waitlist_entry_once_per_slot",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(
                            ("slot__isnull", True), ("status__in", ("waiting", "offered"))
                        ),
                        fields=("customer", "resource", "from_at", "until_at"),
                        name="waitlist_entry_once_per_window",
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="follow_lifecycle",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."status" IS DISTINCT FROM (NEW."status"))',
                            func="IF (OLD.\"status\" || ':' || NEW.\"status\") <> ALL (ARRAY['accepted:closed', 'accepted:declined', 'accepted:expired', 'accepted:fulfilled', 'accepted:settled', 'offered:accepted', 'offered:closed', 'offered:declined', 'offered:expired', 'offered:left', 'offered:settled', 'offered:waiting', 'waiting:closed', 'waiting:expired', 'waiting:left', 'waiting:offered', 'waiting:settled']) THEN RAISE EXCEPTION '% cannot become % on waitlist_waitlistentry %', OLD.\"status\", NEW.\"status\", OLD.\"id\" USING ERRCODE = 'check_violation', CONSTRAINT = 'waitlist_waitlistentry_status_follows_lifecycle'; END IF; RETURN NEW;",
                            hash="0362a2c2e88d0f5b248663c763962e14e43c6ced",
                            operation="UPDATE",
                            pgid="pgtrigger_follow_lifecycle_e2ba6",
                            table="waitlist_waitlistentry",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="bump_version",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                            func="NEW.version := OLD.version + 1; RETURN NEW;",
                            hash="5785e65580cd836771ca25adabecab291984207e",
                            operation="UPDATE",
                            pgid="pgtrigger_bump_version_bd7e9",
                            table="waitlist_waitlistentry",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="stay_in_organization",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."customer_id" IS DISTINCT FROM (NEW."customer_id") OR OLD."organization_id" IS DISTINCT FROM (NEW."organization_id"))',
                            func="\n            RAISE EXCEPTION 'waitlist_waitlistentry % stays with whom it belongs to', OLD.id USING\n                ERRCODE = 'check_violation', CONSTRAINT = 'waitlist_waitlistentry_stays_in_its_organization';\n        ",
                            hash="107a19bc6a461a0721d88e122e74db0bf717095e",
                            operation="UPDATE",
                            pgid="pgtrigger_stay_in_organization_811aa",
                            table="waitlist_waitlistentry",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="gates_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func="\n    IF EXISTS (\n        SELECT 1 FROM new_rows n\n        JOIN bookings_customer c ON c.id = n.customer_id\n        JOIN bookings_resource r ON r.id = n.resource_id\n        LEFT JOIN bookings_slot s ON s.id = n.slot_id\n        WHERE c.organization_id <> n.organization_id OR r.organization_id <> n.organization_id\n           OR s.resource_id <> n.resource_id\n    ) THEN\n        RAISE EXCEPTION 'an entry is of one organisation, and its slot of its resource' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'waitlist_entry_belongs_together';\n    END IF;\n\n    PERFORM 1 FROM bookings_slot WHERE id IN (SELECT slot_id FROM new_rows) ORDER BY id FOR NO KEY UPDATE;\n    UPDATE bookings_slot s SET line_units = g.units, waited_for = TRUE\n    FROM (\n        SELECT t.slot_id, min(e.units) AS units\n        FROM (SELECT DISTINCT slot_id FROM (SELECT slot_id FROM new_rows) x WHERE slot_id IS NOT NULL) t\n        LEFT JOIN waitlist_waitlistentry e ON e.slot_id = t.slot_id AND e.status = 'waiting'\n        GROUP BY t.slot_id\n    ) g\n    WHERE s.id = g.slot_id AND (s.line_units IS DISTINCT FROM g.units OR NOT s.waited_for);\n    WITH d AS (\n        SELECT resource_id, sum(n)::int AS n FROM (SELECT resource_id, 1 AS n FROM new_rows WHERE slot_id IS NULL AND status IN ('waiting', 'offered', 'accepted')) x\n        GROUP BY resource_id HAVING sum(n) <> 0\n    )\n    UPDATE bookings_resource r SET line = GREATEST(r.line + d.n, 0)\n    FROM d\n    WHERE r.id = d.resource_id AND (d.n > 0 OR r.id IN (\n        SELECT id FROM bookings_resource WHERE id IN (SELECT resource_id FROM d WHERE n < 0)\n        FOR NO KEY UPDATE SKIP LOCKED\n    ));\n    RETURN NULL;\n    ",
                            hash="368176473bf09f518cc90c3f56de59fb32bc7aa9",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_gates_insert_96e77",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="waitlist_waitlistentry",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="gates_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func="\n    IF EXISTS (\n        SELECT 1 FROM new_rows n\n        JOIN bookings_customer c ON c.id = n.customer_id\n        JOIN bookings_resource r ON r.id = n.resource_id\n        LEFT JOIN bookings_slot s ON s.id = n.slot_id\n        WHERE c.organization_id <> n.organization_id OR r.organization_id <> n.organization_id\n           OR s.resource_id <> n.resource_id\n    ) THEN\n        RAISE EXCEPTION 'an entry is of one organisation, and its slot of its resource' USING\n            ERRCODE = 'check_violation', CONSTRAINT = 'waitlist_entry_belongs_together';\n    END IF;\n\n    PERFORM 1 FROM bookings_slot WHERE id IN (\n            SELECT unnest(ARRAY[o.slot_id, n.slot_id]) AS slot_id\n            FROM old_rows o FULL JOIN new_rows n ON n.id = o.id\n            WHERE (o.slot_id, o.units, o.status = 'waiting')\n                  IS DISTINCT FROM (n.slot_id, n.units, n.status = 'waiting')) ORDER BY id FOR NO KEY UPDATE;\n    UPDATE bookings_slot s SET line_units = g.units, waited_for = TRUE\n    FROM (\n        SELECT t.slot_id, min(e.units) AS units\n        FROM (SELECT DISTINCT slot_id FROM (\n            SELECT unnest(ARRAY[o.slot_id, n.slot_id]) AS slot_id\n            FROM old_rows o FULL JOIN new_rows n ON n.id = o.id\n            WHERE (o.slot_id, o.units, o.status = 'waiting')\n                  IS DISTINCT FROM (n.slot_id, n.units, n.status = 'waiting')) x WHERE slot_id IS NOT NULL) t\n        LEFT JOIN waitlist_waitlistentry e ON e.slot_id = t.slot_id AND e.status = 'waiting'\n        GROUP BY t.slot_id\n    ) g\n    WHERE s.id = g.slot_id AND (s.line_units IS DISTINCT FROM g.units OR NOT s.waited_for);\n    WITH d AS (\n        SELECT resource_id, sum(n)::int AS n FROM (SELECT resource_id, -1 AS n FROM old_rows WHERE slot_id IS NULL AND status IN ('waiting', 'offered', 'accepted') UNION ALL SELECT resource_id, 1 AS n FROM new_rows WHERE slot_id IS NULL AND status IN ('waiting', 'offered', 'accepted')) x\n        GROUP BY resource_id HAVING sum(n) <> 0\n    )\n    UPDATE bookings_resource r SET line = GREATEST(r.line + d.n, 0)\n    FROM d\n    WHERE r.id = d.resource_id AND (d.n > 0 OR r.id IN (\n        SELECT id FROM bookings_resource WHERE id IN (SELECT resource_id FROM d WHERE n < 0)\n        FOR NO KEY UPDATE SKIP LOCKED\n    ));\n    RETURN NULL;\n    ",
                            hash="a0abb4d34186628cb5a8393c6c4ec2e802bd1dae",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_gates_update_52b8c",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="waitlist_waitlistentry",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="gates_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func="\n    PERFORM 1 FROM bookings_slot WHERE id IN (SELECT slot_id FROM old_rows) ORDER BY id FOR NO KEY UPDATE;\n    UPDATE bookings_slot s SET line_units = g.units, waited_for = TRUE\n    FROM (\n        SELECT t.slot_id, min(e.units) AS units\n        FROM (SELECT DISTINCT slot_id FROM (SELECT slot_id FROM old_rows) x WHERE slot_id IS NOT NULL) t\n        LEFT JOIN waitlist_waitlistentry e ON e.slot_id = t.slot_id AND e.status = 'waiting'\n        GROUP BY t.slot_id\n    ) g\n    WHERE s.id = g.slot_id AND (s.line_units IS DISTINCT FROM g.units OR NOT s.waited_for);\n    WITH d AS (\n        SELECT resource_id, sum(n)::int AS n FROM (SELECT resource_id, -1 AS n FROM old_rows WHERE slot_id IS NULL AND status IN ('waiting', 'offered', 'accepted')) x\n        GROUP BY resource_id HAVING sum(n) <> 0\n    )\n    UPDATE bookings_resource r SET line = GREATEST(r.line + d.n, 0)\n    FROM d\n    WHERE r.id = d.resource_id AND (d.n > 0 OR r.id IN (\n        SELECT id FROM bookings_resource WHERE id IN (SELECT resource_id FROM d WHERE n < 0)\n        FOR NO KEY UPDATE SKIP LOCKED\n    ));\n    RETURN NULL;\n    ",
                            hash="9358f971dec0cfa380dfbbf1840ca024ee0071e0",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_gates_delete_6b02c",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="waitlist_waitlistentry",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "waitlist_historicalwaitlistentry" ("id", "organization_id", "customer_id", "resource_id", "slot_id", "from_at", "until_at", "units", "status", "version", "joined_at", "placed_at", "passed_over", "passed_over_at", "passed_over_reason", "ended_at", "ended_reason", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."customer_id", n."resource_id", n."slot_id", n."from_at", n."until_at", n."units", n."status", n."version", n."joined_at", n."placed_at", n."passed_over", n."passed_over_at", n."passed_over_reason", n."ended_at", n."ended_reason", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="ff4a2538e591b2e72325aa86bb8f385d56feb2e2",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_3a285",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="waitlist_waitlistentry",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "waitlist_historicalwaitlistentry" ("id", "organization_id", "customer_id", "resource_id", "slot_id", "from_at", "until_at", "units", "status", "version", "joined_at", "placed_at", "passed_over", "passed_over_at", "passed_over_reason", "ended_at", "ended_reason", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."customer_id", n."resource_id", n."slot_id", n."from_at", n."until_at", n."units", n."status", n."version", n."joined_at", n."placed_at", n."passed_over", n."passed_over_at", n."passed_over_reason", n."ended_at", n."ended_reason", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."customer_id", n."resource_id", n."slot_id", n."from_at", n."until_at", n."units", n."status", n."version", n."joined_at", n."placed_at", n."passed_over", n."passed_over_at", n."passed_over_reason", n."ended_at", n."ended_reason") IS DISTINCT FROM ROW(o."id", o."organization_id", o."customer_id", o."resource_id", o."slot_id", o."from_at", o."until_at", o."units", o."status", o."version", o."joined_at", o."placed_at", o."passed_over", o."passed_over_at", o."passed_over_reason", o."ended_at", o."ended_reason"); RETURN NULL;',
                            hash="dd43c66d5fb271e53814e0640c1eac262f2d1130",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_c4fa6",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="waitlist_waitlistentry",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "waitlist_historicalwaitlistentry" ("id", "organization_id", "customer_id", "resource_id", "slot_id", "from_at", "until_at", "units", "status", "version", "joined_at", "placed_at", "passed_over", "passed_over_at", "passed_over_reason", "ended_at", "ended_reason", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."customer_id", o."resource_id", o."slot_id", o."from_at", o."until_at", o."units", o."status", o."version", o."joined_at", o."placed_at", o."passed_over", o."passed_over_at", o."passed_over_reason", o."ended_at", o."ended_reason", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="1c4bcbb9272e579dc1ac25498a2c368073707cb6",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_c1fbe",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="waitlist_waitlistentry",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Offer",
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
                            ("expired", "ran out"),
                            ("withdrawn", "withdrawn"),
                        ],
                        default="open",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("expires_at", models.DateTimeField(verbose_name="answer until")),
                ("made_at", models.DateTimeField(verbose_name="offered at")),
                ("by_hand", models.BooleanField(default=False, verbose_name="by hand")),
                (
                    "offered_by",
                    models.CharField(blank=True, max_length=200, verbose_name="offered by"),
                ),
                (
                    "answered_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="answered at"),
                ),
                (
                    "booking",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="offer",
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
                    "entry",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="offers",
                        to="waitlist.waitlistentry",
                        verbose_name="entry",
                    ),
                ),
            ],
            options={
                "verbose_name": "waitlist offer",
                "verbose_name_plural": "waitlist offers",
                "ordering": ["-made_at", "-id"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status", "open")),
                        fields=("entry",),
                        name="waitlist_offer_one_open_per_entry",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["open", "accepted", "declined", "expired", "withdrawn"])
                        ),
                        name="waitlist_offer_status_is_known",
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
                        name="waitlist_offer_answered_says_when",
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="follow_lifecycle",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."status" IS DISTINCT FROM (NEW."status"))',
                            func="IF (OLD.\"status\" || ':' || NEW.\"status\") <> ALL (ARRAY['open:accepted', 'open:declined', 'open:expired', 'open:withdrawn']) THEN RAISE EXCEPTION '% cannot become % on waitlist_offer %', OLD.\"status\", NEW.\"status\", OLD.\"id\" USING ERRCODE = 'check_violation', CONSTRAINT = 'waitlist_offer_status_follows_lifecycle'; END IF; RETURN NEW;",
                            hash="9b3d0923291a22437c3db36b26939532c6b89d70",
                            operation="UPDATE",
                            pgid="pgtrigger_follow_lifecycle_66464",
                            table="waitlist_offer",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="offer_to_whom_it_is_for",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func="\n            IF EXISTS (\n                SELECT 1 FROM new_rows n\n                JOIN waitlist_waitlistentry e ON e.id = n.entry_id\n                JOIN bookings_booking b ON b.id = n.booking_id\n                WHERE e.organization_id <> n.organization_id OR b.customer_id <> e.customer_id\n            ) THEN\n                RAISE EXCEPTION 'an offer is for whom it was made' USING\n                    ERRCODE = 'check_violation', CONSTRAINT = 'waitlist_offer_is_for_its_entry';\n            END IF;\n            RETURN NULL;\n        ",
                            hash="7698e35b148bd6c62a57969b8996aa4ab93b258b",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_offer_to_whom_it_is_for_f04f4",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="waitlist_offer",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "waitlist_historicaloffer" ("id", "organization_id", "entry_id", "booking_id", "status", "expires_at", "made_at", "by_hand", "offered_by", "answered_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."entry_id", n."booking_id", n."status", n."expires_at", n."made_at", n."by_hand", n."offered_by", n."answered_at", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="1c05d7895184ba7e2996a8d667f718898e673fa5",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_08725",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="waitlist_offer",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "waitlist_historicaloffer" ("id", "organization_id", "entry_id", "booking_id", "status", "expires_at", "made_at", "by_hand", "offered_by", "answered_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."entry_id", n."booking_id", n."status", n."expires_at", n."made_at", n."by_hand", n."offered_by", n."answered_at", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."entry_id", n."booking_id", n."status", n."expires_at", n."made_at", n."by_hand", n."offered_by", n."answered_at") IS DISTINCT FROM ROW(o."id", o."organization_id", o."entry_id", o."booking_id", o."status", o."expires_at", o."made_at", o."by_hand", o."offered_by", o."answered_at"); RETURN NULL;',
                            hash="73ceb6877e6f7558d398a5aa5cc48024b6a728f3",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_7037c",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="waitlist_offer",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "waitlist_historicaloffer" ("id", "organization_id", "entry_id", "booking_id", "status", "expires_at", "made_at", "by_hand", "offered_by", "answered_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."entry_id", o."booking_id", o."status", o."expires_at", o."made_at", o."by_hand", o."offered_by", o."answered_at", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="99cec7c5c299723231004e0c945e76b415d975cb",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_56826",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="waitlist_offer",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WaitlistPolicy",
            fields=[
                (
                    "organization",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="waitlist_policy",
                        serialize=False,
                        to="bookings.organization",
                    ),
                ),
                (
                    "offer_hours",
                    models.PositiveSmallIntegerField(
                        default=12,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="hours to answer an offer",
                    ),
                ),
                (
                    "offer_until_minutes",
                    models.PositiveIntegerField(
                        default=60,
                        help_text="Nothing is offered later than that, and every offer ends then.",
                        verbose_name="minutes before the start when offers end",
                    ),
                ),
                (
                    "closes_when_approved",
                    models.BooleanField(
                        default=False,
                        help_text="If not, a line stays as long as somebody in the slot may still cancel and give seats back.",
                        verbose_name="close a line when its slot is full with approved bookings",
                    ),
                ),
            ],
            options={
                "verbose_name": "waitlist policy",
                "verbose_name_plural": "waitlist policies",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("offer_hours__gte", 1)),
                        name="waitlist_policy_offers_last_an_hour",
                    )
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "waitlist_historicalwaitlistpolicy" ("organization_id", "offer_hours", "offer_until_minutes", "closes_when_approved", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."organization_id", n."offer_hours", n."offer_until_minutes", n."closes_when_approved", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="394132ab5483a42b84d0e755288095e5f98610e0",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_f35fe",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="waitlist_waitlistpolicy",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "waitlist_historicalwaitlistpolicy" ("organization_id", "offer_hours", "offer_until_minutes", "closes_when_approved", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."organization_id", n."offer_hours", n."offer_until_minutes", n."closes_when_approved", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."organization_id" = n."organization_id", audit_context() c WHERE ROW(n."organization_id", n."offer_hours", n."offer_until_minutes", n."closes_when_approved") IS DISTINCT FROM ROW(o."organization_id", o."offer_hours", o."offer_until_minutes", o."closes_when_approved"); RETURN NULL;',
                            hash="c98d5d4f4266d9905f18f3288864417a03fc0349",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_df93c",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="waitlist_waitlistpolicy",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "waitlist_historicalwaitlistpolicy" ("organization_id", "offer_hours", "offer_until_minutes", "closes_when_approved", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."organization_id", o."offer_hours", o."offer_until_minutes", o."closes_when_approved", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="6d3f069f2ae080b7c58d0ca8ceb04ee9a90a51bb",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_7c0fa",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="waitlist_waitlistpolicy",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalWaitlistEntry",
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
                    "from_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="any time from"),
                ),
                ("until_at", models.DateTimeField(blank=True, null=True, verbose_name="until")),
                (
                    "units",
                    models.PositiveIntegerField(
                        default=1,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="people",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("waiting", "waiting"),
                            ("offered", "offered seats"),
                            ("accepted", "accepted, not approved yet"),
                            ("fulfilled", "got seats"),
                            ("settled", "settled"),
                            ("declined", "declined"),
                            ("expired", "ran out"),
                            ("left", "left the line"),
                            ("closed", "closed"),
                        ],
                        default="waiting",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                ("joined_at", models.DateTimeField(verbose_name="joined at")),
                ("placed_at", models.DateTimeField(verbose_name="place in line")),
                ("passed_over", models.PositiveIntegerField(default=0, verbose_name="passed over")),
                (
                    "passed_over_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="last passed over at"),
                ),
                (
                    "passed_over_reason",
                    models.CharField(blank=True, max_length=300, verbose_name="why"),
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
                        verbose_name="customer",
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
                        verbose_name="slot",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical waitlist entry",
                "verbose_name_plural": "historical waitlist",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="waitlist_hi_id_4019b7_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="waitlist_hi_history_86cccd_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalOffer",
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
                            ("expired", "ran out"),
                            ("withdrawn", "withdrawn"),
                        ],
                        default="open",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("expires_at", models.DateTimeField(verbose_name="answer until")),
                ("made_at", models.DateTimeField(verbose_name="offered at")),
                ("by_hand", models.BooleanField(default=False, verbose_name="by hand")),
                (
                    "offered_by",
                    models.CharField(blank=True, max_length=200, verbose_name="offered by"),
                ),
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
                    "entry",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="waitlist.waitlistentry",
                        verbose_name="entry",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical waitlist offer",
                "verbose_name_plural": "historical waitlist offers",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="waitlist_hi_id_9b50da_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="waitlist_hi_history_d781c3_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalWaitlistPolicy",
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
                    "offer_hours",
                    models.PositiveSmallIntegerField(
                        default=12,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="hours to answer an offer",
                    ),
                ),
                (
                    "offer_until_minutes",
                    models.PositiveIntegerField(
                        default=60,
                        help_text="Nothing is offered later than that, and every offer ends then.",
                        verbose_name="minutes before the start when offers end",
                    ),
                ),
                (
                    "closes_when_approved",
                    models.BooleanField(
                        default=False,
                        help_text="If not, a line stays as long as somebody in the slot may still cancel and give seats back.",
                        verbose_name="close a line when its slot is full with approved bookings",
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
                    ),
                ),
            ],
            options={
                "verbose_name": "historical waitlist policy",
                "verbose_name_plural": "historical waitlist policies",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(
                        fields=["organization_id", "history_id"],
                        name="waitlist_hi_organiz_dec815_idx",
                    ),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="waitlist_hi_history_763200_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
    ]
