"""Deadlines of cancelling that moves respect, money given back by hand, requests that expire."""

import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


# What was checked out before has not been told apart by who moved it: the start counts.
DEADLINES = """
    SELECT set_config('holdfast.audit', '{"actor_kind": "system", "actor_label": "upgrade", "reason":
        "the moment until which cancelling is free is kept from now on"}', true);
    UPDATE payments_cartitem i
    SET free_until = s.starts_at - make_interval(mins => i.free_until_minutes)
    FROM bookings_booking b JOIN bookings_slot s ON s.id = b.slot_id
    WHERE b.id = i.booking_id AND i.late_fee > 0 AND i.free_until_minutes IS NOT NULL;
    SELECT set_config('holdfast.audit', '', true);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0001_tables"),
        ("payments", "0001_tables"),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name="cartitem",
            name="trail_insert",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="cartitem",
            name="trail_update",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="cartitem",
            name="trail_delete",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="proof",
            name="trail_insert",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="proof",
            name="trail_update",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="proof",
            name="trail_delete",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="refund",
            name="keep_amount",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="refund",
            name="trail_insert",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="refund",
            name="trail_update",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="refund",
            name="trail_delete",
        ),
        migrations.RemoveConstraint(
            model_name="carttransaction",
            name="payments_carttransaction_reviews_have_a_deadline",
        ),
        migrations.RemoveIndex(
            model_name="carttransaction",
            name="payments_review_by_deadline",
        ),
        migrations.AddField(
            model_name="cartitem",
            name="cancel_until",
            field=models.DateTimeField(
                blank=True, null=True, verbose_name="customers may cancel until"
            ),
        ),
        migrations.AddField(
            model_name="cartitem",
            name="free_until",
            field=models.DateTimeField(
                blank=True, null=True, verbose_name="cancelling is free until"
            ),
        ),
        migrations.AddField(
            model_name="historicalcartitem",
            name="cancel_until",
            field=models.DateTimeField(
                blank=True, null=True, verbose_name="customers may cancel until"
            ),
        ),
        migrations.AddField(
            model_name="historicalcartitem",
            name="free_until",
            field=models.DateTimeField(
                blank=True, null=True, verbose_name="cancelling is free until"
            ),
        ),
        migrations.AddField(
            model_name="historicalproof",
            name="decided_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="decided at"),
        ),
        migrations.AddField(
            model_name="historicalrefund",
            name="by_hand",
            field=models.BooleanField(
                db_default=False, default=False, editable=False, verbose_name="noted by hand"
            ),
        ),
        migrations.AddField(
            model_name="proof",
            name="decided_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="decided at"),
        ),
        migrations.AddField(
            model_name="refund",
            name="by_hand",
            field=models.BooleanField(
                db_default=False, default=False, editable=False, verbose_name="noted by hand"
            ),
        ),
        migrations.AddIndex(
            model_name="carttransaction",
            index=models.Index(
                condition=models.Q(("review_due_at__isnull", False)),
                fields=["review_due_at"],
                name="payments_review_by_deadline",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="cartitem",
            trigger=pgtrigger.compiler.Trigger(
                name="trail_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "payments_historicalcartitem" ("id", "organization_id", "cart_id", "transaction_id", "booking_id", "status", "price_name", "unit_price", "quantity", "discount", "tax_percent", "tax", "amount", "currency", "free_until_minutes", "late_fee", "free_until", "cancel_until", "fee", "refund_id", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."cart_id", n."transaction_id", n."booking_id", n."status", n."price_name", n."unit_price", n."quantity", n."discount", n."tax_percent", n."tax", n."amount", n."currency", n."free_until_minutes", n."late_fee", n."free_until", n."cancel_until", n."fee", n."refund_id", n."created_at", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                    hash="62c24cbdbb5f6c589c944a3389f9604e484b9aa3",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_trail_insert_ba1bc",
                    referencing="REFERENCING NEW TABLE AS new_rows ",
                    table="payments_cartitem",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="cartitem",
            trigger=pgtrigger.compiler.Trigger(
                name="trail_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "payments_historicalcartitem" ("id", "organization_id", "cart_id", "transaction_id", "booking_id", "status", "price_name", "unit_price", "quantity", "discount", "tax_percent", "tax", "amount", "currency", "free_until_minutes", "late_fee", "free_until", "cancel_until", "fee", "refund_id", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."cart_id", n."transaction_id", n."booking_id", n."status", n."price_name", n."unit_price", n."quantity", n."discount", n."tax_percent", n."tax", n."amount", n."currency", n."free_until_minutes", n."late_fee", n."free_until", n."cancel_until", n."fee", n."refund_id", n."created_at", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."cart_id", n."transaction_id", n."booking_id", n."status", n."price_name", n."unit_price", n."quantity", n."discount", n."tax_percent", n."tax", n."amount", n."currency", n."free_until_minutes", n."late_fee", n."free_until", n."cancel_until", n."fee", n."refund_id", n."created_at") IS DISTINCT FROM ROW(o."id", o."organization_id", o."cart_id", o."transaction_id", o."booking_id", o."status", o."price_name", o."unit_price", o."quantity", o."discount", o."tax_percent", o."tax", o."amount", o."currency", o."free_until_minutes", o."late_fee", o."free_until", o."cancel_until", o."fee", o."refund_id", o."created_at"); RETURN NULL;',
                    hash="67ab37b6662e3e92a19f620e6cfc12350fb7e5e3",
                    level="STATEMENT",
                    operation="UPDATE",
                    pgid="pgtrigger_trail_update_76ea9",
                    referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                    table="payments_cartitem",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="cartitem",
            trigger=pgtrigger.compiler.Trigger(
                name="trail_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "payments_historicalcartitem" ("id", "organization_id", "cart_id", "transaction_id", "booking_id", "status", "price_name", "unit_price", "quantity", "discount", "tax_percent", "tax", "amount", "currency", "free_until_minutes", "late_fee", "free_until", "cancel_until", "fee", "refund_id", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."cart_id", o."transaction_id", o."booking_id", o."status", o."price_name", o."unit_price", o."quantity", o."discount", o."tax_percent", o."tax", o."amount", o."currency", o."free_until_minutes", o."late_fee", o."free_until", o."cancel_until", o."fee", o."refund_id", o."created_at", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                    hash="68eb5931b183e16427d971b4e9b4c842a730d5c9",
                    level="STATEMENT",
                    operation="DELETE",
                    pgid="pgtrigger_trail_delete_186be",
                    referencing="REFERENCING OLD TABLE AS old_rows ",
                    table="payments_cartitem",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="proof",
            trigger=pgtrigger.compiler.Trigger(
                name="trail_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "payments_historicalproof" ("id", "organization_id", "customer_id", "transaction_id", "booking_id", "file", "content_type", "size", "sha256", "original_name", "amount", "reference", "status", "uploaded_at", "decided_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."customer_id", n."transaction_id", n."booking_id", n."file", n."content_type", n."size", n."sha256", n."original_name", n."amount", n."reference", n."status", n."uploaded_at", n."decided_at", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                    hash="31d15b84655a80c1636233a6561ef4f271a32bdb",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_trail_insert_31e70",
                    referencing="REFERENCING NEW TABLE AS new_rows ",
                    table="payments_proof",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="proof",
            trigger=pgtrigger.compiler.Trigger(
                name="trail_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "payments_historicalproof" ("id", "organization_id", "customer_id", "transaction_id", "booking_id", "file", "content_type", "size", "sha256", "original_name", "amount", "reference", "status", "uploaded_at", "decided_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."customer_id", n."transaction_id", n."booking_id", n."file", n."content_type", n."size", n."sha256", n."original_name", n."amount", n."reference", n."status", n."uploaded_at", n."decided_at", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."customer_id", n."transaction_id", n."booking_id", n."file", n."content_type", n."size", n."sha256", n."original_name", n."amount", n."reference", n."status", n."uploaded_at", n."decided_at") IS DISTINCT FROM ROW(o."id", o."organization_id", o."customer_id", o."transaction_id", o."booking_id", o."file", o."content_type", o."size", o."sha256", o."original_name", o."amount", o."reference", o."status", o."uploaded_at", o."decided_at"); RETURN NULL;',
                    hash="f8e7d8c85d07f866432cd324008d4698c29be151",
                    level="STATEMENT",
                    operation="UPDATE",
                    pgid="pgtrigger_trail_update_1ed95",
                    referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                    table="payments_proof",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="proof",
            trigger=pgtrigger.compiler.Trigger(
                name="trail_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "payments_historicalproof" ("id", "organization_id", "customer_id", "transaction_id", "booking_id", "file", "content_type", "size", "sha256", "original_name", "amount", "reference", "status", "uploaded_at", "decided_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."customer_id", o."transaction_id", o."booking_id", o."file", o."content_type", o."size", o."sha256", o."original_name", o."amount", o."reference", o."status", o."uploaded_at", o."decided_at", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                    hash="043cfc6f43d5ffe5b526e3f9151625f6a3388a1c",
                    level="STATEMENT",
                    operation="DELETE",
                    pgid="pgtrigger_trail_delete_2e871",
                    referencing="REFERENCING OLD TABLE AS old_rows ",
                    table="payments_proof",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="refund",
            trigger=pgtrigger.compiler.Trigger(
                name="keep_amount",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."amount" IS DISTINCT FROM (NEW."amount") OR OLD."by_hand" IS DISTINCT FROM (NEW."by_hand") OR OLD."currency" IS DISTINCT FROM (NEW."currency") OR OLD."customer_id" IS DISTINCT FROM (NEW."customer_id") OR OLD."transaction_id" IS DISTINCT FROM (NEW."transaction_id"))',
                    func="\n                    RAISE EXCEPTION 'refund % stays what was owed', OLD.id USING\n                        ERRCODE = 'check_violation',\n                        CONSTRAINT = 'payments_refund_keeps_its_amount';\n                ",
                    hash="9865ac4de2d2ade66839dfb4fe6bfbc15198fb0f",
                    operation="UPDATE",
                    pgid="pgtrigger_keep_amount_f47da",
                    table="payments_refund",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="refund",
            trigger=pgtrigger.compiler.Trigger(
                name="trail_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "payments_historicalrefund" ("id", "organization_id", "customer_id", "transaction_id", "amount", "currency", "way", "status", "verified", "by_hand", "reason", "created_at", "settled_at", "settled_by_id", "settled_by", "reference", "note", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."customer_id", n."transaction_id", n."amount", n."currency", n."way", n."status", n."verified", n."by_hand", n."reason", n."created_at", n."settled_at", n."settled_by_id", n."settled_by", n."reference", n."note", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                    hash="271035a1bf2551c5a412bb84aa8bfcd303f94710",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_trail_insert_98656",
                    referencing="REFERENCING NEW TABLE AS new_rows ",
                    table="payments_refund",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="refund",
            trigger=pgtrigger.compiler.Trigger(
                name="trail_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "payments_historicalrefund" ("id", "organization_id", "customer_id", "transaction_id", "amount", "currency", "way", "status", "verified", "by_hand", "reason", "created_at", "settled_at", "settled_by_id", "settled_by", "reference", "note", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."customer_id", n."transaction_id", n."amount", n."currency", n."way", n."status", n."verified", n."by_hand", n."reason", n."created_at", n."settled_at", n."settled_by_id", n."settled_by", n."reference", n."note", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."customer_id", n."transaction_id", n."amount", n."currency", n."way", n."status", n."verified", n."by_hand", n."reason", n."created_at", n."settled_at", n."settled_by_id", n."settled_by", n."reference", n."note") IS DISTINCT FROM ROW(o."id", o."organization_id", o."customer_id", o."transaction_id", o."amount", o."currency", o."way", o."status", o."verified", o."by_hand", o."reason", o."created_at", o."settled_at", o."settled_by_id", o."settled_by", o."reference", o."note"); RETURN NULL;',
                    hash="952c34783c8323095ce9e1dd433c2412aed3d5e9",
                    level="STATEMENT",
                    operation="UPDATE",
                    pgid="pgtrigger_trail_update_863d8",
                    referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                    table="payments_refund",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="refund",
            trigger=pgtrigger.compiler.Trigger(
                name="trail_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "payments_historicalrefund" ("id", "organization_id", "customer_id", "transaction_id", "amount", "currency", "way", "status", "verified", "by_hand", "reason", "created_at", "settled_at", "settled_by_id", "settled_by", "reference", "note", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."customer_id", o."transaction_id", o."amount", o."currency", o."way", o."status", o."verified", o."by_hand", o."reason", o."created_at", o."settled_at", o."settled_by_id", o."settled_by", o."reference", o."note", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                    hash="34429ff7db18d3e920539f7cd6260c6f733a3f50",
                    level="STATEMENT",
                    operation="DELETE",
                    pgid="pgtrigger_trail_delete_fc3bb",
                    referencing="REFERENCING OLD TABLE AS old_rows ",
                    table="payments_refund",
                    when="AFTER",
                ),
            ),
        ),
        migrations.RunSQL(DEADLINES, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="cartitem",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("free_until__isnull", False),
                        ("free_until_minutes__isnull", False),
                        ("late_fee__gt", 0),
                    ),
                    models.Q(
                        ("free_until__isnull", True),
                        models.Q(
                            ("free_until_minutes__isnull", True),
                            ("late_fee__lte", 0),
                            _connector="OR",
                        ),
                    ),
                    _connector="OR",
                ),
                name="payments_cartitem_a_late_fee_says_since_when",
            ),
        ),
        migrations.AddConstraint(
            model_name="carttransaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("review_due_at__isnull", False), ("status", "under_review")),
                    models.Q(
                        ("status", "pending"),
                        models.Q(("payment_method", "pay_now"), _negated=True),
                    ),
                    models.Q(
                        models.Q(("status", "under_review"), _negated=True),
                        ("review_due_at__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="payments_carttransaction_reviews_have_a_deadline",
            ),
        ),
    ]
