"""Everything about payments; see bookings."""

import audit.ids
import bookings.models.booking
import datetime
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.deletion
import payments.models.proof
import pgtrigger.compiler
import simple_history.models
from decimal import Decimal
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("payments", "0001_initial"),
        ("payments", "0002_closed_carts"),
        ("payments", "0003_money"),
        ("payments", "0004_reopened_proofs"),
    ]

    initial = True

    dependencies = [
        ("bookings", "0001_tables"),
    ]

    operations = [
        migrations.CreateModel(
            name="Cart",
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
                            ("open", "open"),
                            ("checked_out", "checked out"),
                            ("closed", "closed"),
                        ],
                        default="open",
                        max_length=12,
                        verbose_name="status",
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("checked_out_at", models.DateTimeField(blank=True, null=True)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="carts",
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
            ],
            options={
                "verbose_name": "cart",
                "verbose_name_plural": "carts",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status", "open")),
                        fields=("customer",),
                        name="payments_cart_one_open_per_customer",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("checked_out_at__isnull", True), ("status__in", ["open", "closed"])
                            ),
                            models.Q(("checked_out_at__isnull", False), ("status", "checked_out")),
                            _connector="OR",
                        ),
                        name="payments_cart_checked_out_says_when",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("closed_at__isnull", False), ("status", "closed")),
                            models.Q(
                                models.Q(("status", "closed"), _negated=True),
                                ("closed_at__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="payments_cart_closed_says_when",
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="follow_lifecycle",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."status" IS DISTINCT FROM (NEW."status"))',
                            func="IF (OLD.\"status\" || ':' || NEW.\"status\") <> ALL (ARRAY['open:checked_out', 'open:closed']) THEN RAISE EXCEPTION '% cannot become % on payments_cart %', OLD.\"status\", NEW.\"status\", OLD.\"id\" USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_cart_status_follows_lifecycle'; END IF; RETURN NEW;",
                            hash="a9f3d6b3cc9b1c26b8c4fea61ca0a48711f55746",
                            operation="UPDATE",
                            pgid="pgtrigger_follow_lifecycle_2fee1",
                            table="payments_cart",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalcart" ("id", "organization_id", "customer_id", "status", "created_at", "checked_out_at", "closed_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."customer_id", n."status", n."created_at", n."checked_out_at", n."closed_at", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="0945775155268e77da4a9e2b853c2a68a534b0c2",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_d9b77",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="payments_cart",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalcart" ("id", "organization_id", "customer_id", "status", "created_at", "checked_out_at", "closed_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."customer_id", n."status", n."created_at", n."checked_out_at", n."closed_at", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."customer_id", n."status", n."created_at", n."checked_out_at", n."closed_at") IS DISTINCT FROM ROW(o."id", o."organization_id", o."customer_id", o."status", o."created_at", o."checked_out_at", o."closed_at"); RETURN NULL;',
                            hash="f19eb569b73288c25ee93d5c3af09d20300d6e95",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_32bde",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="payments_cart",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalcart" ("id", "organization_id", "customer_id", "status", "created_at", "checked_out_at", "closed_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."customer_id", o."status", o."created_at", o."checked_out_at", o."closed_at", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="f5cff84ea6eb7d2338fb2f9841dde3a8c2f6c8b0",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_d82ff",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="payments_cart",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PaymentPolicy",
            fields=[
                (
                    "organization",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="payment_policy",
                        serialize=False,
                        to="bookings.organization",
                    ),
                ),
                (
                    "accepts_pay_now",
                    models.BooleanField(default=True, verbose_name="accepts proofs of payment"),
                ),
                (
                    "accepts_pay_on_arrival",
                    models.BooleanField(default=True, verbose_name="accepts payment on arrival"),
                ),
                (
                    "instructions",
                    models.TextField(
                        blank=True,
                        help_text="Shown and mailed after checkout: bank account, wallet, reference.",
                        verbose_name="how to pay",
                    ),
                ),
                (
                    "proof_required",
                    models.BooleanField(
                        default=True,
                        help_text="If not, staff may approve what they see on the account without a file.",
                        verbose_name="needs a proof before approval",
                    ),
                ),
                (
                    "confirms_pay_on_arrival",
                    models.BooleanField(
                        default=False, verbose_name="confirms payment on arrival at once"
                    ),
                ),
                (
                    "review_hours",
                    models.PositiveSmallIntegerField(
                        db_default=24,
                        default=24,
                        help_text="Then the managers are told, and again each time so many hours have passed.",
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="hours to review a proof",
                    ),
                ),
                (
                    "confirms_free",
                    models.BooleanField(default=True, verbose_name="confirms what is free at once"),
                ),
            ],
            options={
                "verbose_name": "payment policy",
                "verbose_name_plural": "payment policies",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("review_hours__gte", 1)),
                        name="payments_policy_reviews_take_an_hour",
                    )
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalpaymentpolicy" ("organization_id", "accepts_pay_now", "accepts_pay_on_arrival", "instructions", "proof_required", "confirms_pay_on_arrival", "review_hours", "confirms_free", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."organization_id", n."accepts_pay_now", n."accepts_pay_on_arrival", n."instructions", n."proof_required", n."confirms_pay_on_arrival", n."review_hours", n."confirms_free", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="5386addc1d3a4081161bf3c3d7871a70a3e2c12d",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_b91fb",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="payments_paymentpolicy",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalpaymentpolicy" ("organization_id", "accepts_pay_now", "accepts_pay_on_arrival", "instructions", "proof_required", "confirms_pay_on_arrival", "review_hours", "confirms_free", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."organization_id", n."accepts_pay_now", n."accepts_pay_on_arrival", n."instructions", n."proof_required", n."confirms_pay_on_arrival", n."review_hours", n."confirms_free", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."organization_id" = n."organization_id", audit_context() c WHERE ROW(n."organization_id", n."accepts_pay_now", n."accepts_pay_on_arrival", n."instructions", n."proof_required", n."confirms_pay_on_arrival", n."review_hours", n."confirms_free") IS DISTINCT FROM ROW(o."organization_id", o."accepts_pay_now", o."accepts_pay_on_arrival", o."instructions", o."proof_required", o."confirms_pay_on_arrival", o."review_hours", o."confirms_free"); RETURN NULL;',
                            hash="e46eb2e6bec16da23ef4aee8b5a38ea4b536ce8d",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_bad27",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="payments_paymentpolicy",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalpaymentpolicy" ("organization_id", "accepts_pay_now", "accepts_pay_on_arrival", "instructions", "proof_required", "confirms_pay_on_arrival", "review_hours", "confirms_free", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."organization_id", o."accepts_pay_now", o."accepts_pay_on_arrival", o."instructions", o."proof_required", o."confirms_pay_on_arrival", o."review_hours", o."confirms_free", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="cb09b20e2894c685281099d5170272e7a293a2ce",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_00a7c",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="payments_paymentpolicy",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Price",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(default="Standard", max_length=100, verbose_name="name")),
                (
                    "amount",
                    models.DecimalField(
                        decimal_places=2,
                        help_text="With tax.",
                        max_digits=12,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0")),
                            django.core.validators.MaxValueValidator(Decimal("1000000")),
                        ],
                        verbose_name="amount",
                    ),
                ),
                (
                    "currency",
                    models.CharField(
                        default="EUR",
                        max_length=3,
                        validators=[django.core.validators.RegexValidator("^[A-Z]{3}$")],
                        verbose_name="currency",
                    ),
                ),
                (
                    "basis",
                    models.CharField(
                        choices=[("booking", "per booking"), ("unit", "per person")],
                        default="booking",
                        max_length=10,
                        verbose_name="charged",
                    ),
                ),
                (
                    "discount_percent",
                    models.DecimalField(
                        decimal_places=2,
                        default=Decimal("0"),
                        max_digits=5,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0")),
                            django.core.validators.MaxValueValidator(Decimal("100")),
                        ],
                        verbose_name="discount in percent",
                    ),
                ),
                (
                    "tax_percent",
                    models.DecimalField(
                        decimal_places=2,
                        default=Decimal("0"),
                        max_digits=5,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0")),
                            django.core.validators.MaxValueValidator(Decimal("100")),
                        ],
                        verbose_name="tax in percent, within the amount",
                    ),
                ),
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
                ("from_time", models.TimeField(blank=True, null=True, verbose_name="from")),
                ("until_time", models.TimeField(blank=True, null=True, verbose_name="until")),
                ("valid_from", models.DateField(blank=True, null=True, verbose_name="valid from")),
                (
                    "valid_until",
                    models.DateField(blank=True, null=True, verbose_name="valid until"),
                ),
                ("priority", models.SmallIntegerField(default=0, verbose_name="priority")),
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
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="prices",
                        to="bookings.resource",
                    ),
                ),
            ],
            options={
                "verbose_name": "price",
                "verbose_name_plural": "prices",
                "ordering": ["resource", "-priority", "-created_at"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount__gte", 0), ("amount__lte", Decimal("1000000"))),
                        name="payments_price_amount_is_sane",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("discount_percent__gte", 0), ("discount_percent__lte", 100)
                        ),
                        name="payments_price_discount_is_a_percentage",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("tax_percent__gte", 0), ("tax_percent__lte", 100)),
                        name="payments_price_tax_is_a_percentage",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("currency__regex", "^[A-Z]{3}$")),
                        name="payments_price_currency_is_iso",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("basis__in", ["booking", "unit"])),
                        name="payments_price_basis_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("from_time__isnull", True),
                            ("until_time__isnull", True),
                            ("until_time", datetime.time(0, 0)),
                            ("until_time__gt", models.F("from_time")),
                            _connector="OR",
                        ),
                        name="payments_price_hours_are_in_one_day",
                        violation_error_message="Hours past midnight need two prices: one until 00:00, one from 00:00.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("valid_until__isnull", True),
                            ("valid_from__isnull", True),
                            ("valid_until__gte", models.F("valid_from")),
                            _connector="OR",
                        ),
                        name="payments_price_ends_after_it_starts",
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalprice" ("id", "organization_id", "resource_id", "name", "amount", "currency", "basis", "discount_percent", "tax_percent", "weekdays", "from_time", "until_time", "valid_from", "valid_until", "priority", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."resource_id", n."name", n."amount", n."currency", n."basis", n."discount_percent", n."tax_percent", n."weekdays", n."from_time", n."until_time", n."valid_from", n."valid_until", n."priority", n."created_at", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="6f3ec6882045a7d823de33db9504b471d9534e96",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_3c90e",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="payments_price",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalprice" ("id", "organization_id", "resource_id", "name", "amount", "currency", "basis", "discount_percent", "tax_percent", "weekdays", "from_time", "until_time", "valid_from", "valid_until", "priority", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."resource_id", n."name", n."amount", n."currency", n."basis", n."discount_percent", n."tax_percent", n."weekdays", n."from_time", n."until_time", n."valid_from", n."valid_until", n."priority", n."created_at", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."resource_id", n."name", n."amount", n."currency", n."basis", n."discount_percent", n."tax_percent", n."weekdays", n."from_time", n."until_time", n."valid_from", n."valid_until", n."priority", n."created_at") IS DISTINCT FROM ROW(o."id", o."organization_id", o."resource_id", o."name", o."amount", o."currency", o."basis", o."discount_percent", o."tax_percent", o."weekdays", o."from_time", o."until_time", o."valid_from", o."valid_until", o."priority", o."created_at"); RETURN NULL;',
                            hash="85b2343679ff4355fe6a1229389fea5c1e3ec9fe",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_362a9",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="payments_price",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalprice" ("id", "organization_id", "resource_id", "name", "amount", "currency", "basis", "discount_percent", "tax_percent", "weekdays", "from_time", "until_time", "valid_from", "valid_until", "priority", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."resource_id", o."name", o."amount", o."currency", o."basis", o."discount_percent", o."tax_percent", o."weekdays", o."from_time", o."until_time", o."valid_from", o."valid_until", o."priority", o."created_at", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="88e87f4c8336cd6651e26251afebff3d16e3fbda",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_b0a58",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="payments_price",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="CartTransaction",
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
                        help_text="What the customer writes on the transfer.",
                        max_length=11,
                        verbose_name="reference",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("under_review", "under review"),
                            ("approved", "approved"),
                            ("rejected", "rejected"),
                            ("expired", "expired"),
                            ("cancelled", "cancelled"),
                        ],
                        default="pending",
                        max_length=12,
                        verbose_name="status",
                    ),
                ),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                (
                    "payment_method",
                    models.CharField(
                        choices=[
                            ("pay_now", "pay now, by proof of payment"),
                            ("pay_on_arrival", "pay on arrival"),
                            ("free", "free"),
                        ],
                        max_length=20,
                        verbose_name="payment",
                    ),
                ),
                (
                    "payment_status",
                    models.CharField(
                        choices=[("pending", "pending"), ("paid", "paid"), ("failed", "failed")],
                        default="pending",
                        max_length=10,
                        verbose_name="payment status",
                    ),
                ),
                (
                    "amount",
                    models.DecimalField(decimal_places=2, max_digits=12, verbose_name="amount"),
                ),
                ("tax", models.DecimalField(decimal_places=2, max_digits=12, verbose_name="tax")),
                (
                    "discount",
                    models.DecimalField(decimal_places=2, max_digits=12, verbose_name="discount"),
                ),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                ("note", models.TextField(blank=True, verbose_name="note of the customer")),
                (
                    "due_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="to be paid until"),
                ),
                ("created_at", models.DateTimeField(verbose_name="made at")),
                (
                    "submitted_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="proof since"),
                ),
                (
                    "review_due_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="review due at"),
                ),
                (
                    "escalations",
                    models.PositiveSmallIntegerField(
                        db_default=0, default=0, verbose_name="times the managers were told"
                    ),
                ),
                ("paid_at", models.DateTimeField(blank=True, null=True, verbose_name="paid at")),
                (
                    "decided_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="decided at"),
                ),
                ("decided_by_id", models.UUIDField(blank=True, editable=False, null=True)),
                (
                    "decided_by",
                    models.CharField(
                        blank=True, editable=False, max_length=200, verbose_name="decided by"
                    ),
                ),
                ("decision_reason", models.TextField(blank=True, verbose_name="reason")),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended at")),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="transactions",
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
            ],
            options={
                "verbose_name": "transaction",
                "verbose_name_plural": "transactions",
                "ordering": ["-created_at", "-id"],
                "permissions": [
                    ("approve_carttransaction", "Can approve and reject transactions"),
                    ("take_payment_carttransaction", "Can take payment on arrival"),
                ],
                "indexes": [
                    models.Index(
                        condition=models.Q(("status", "pending")),
                        fields=["due_at"],
                        name="payments_pending_by_deadline",
                    ),
                    models.Index(
                        fields=["organization", "-created_at", "-id"],
                        name="payments_ca_organiz_d4ca74_idx",
                    ),
                    models.Index(
                        fields=["customer", "-created_at"], name="payments_ca_custome_34fb50_idx"
                    ),
                    models.Index(
                        condition=models.Q(("status", "under_review")),
                        fields=["organization", "submitted_at"],
                        name="payments_review_queue",
                    ),
                    models.Index(
                        condition=models.Q(("status", "under_review")),
                        fields=["review_due_at"],
                        name="payments_review_by_deadline",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization", "reference"),
                        name="payments_carttransaction_reference_is_unique",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "status__in",
                                [
                                    "pending",
                                    "under_review",
                                    "approved",
                                    "rejected",
                                    "expired",
                                    "cancelled",
                                ],
                            )
                        ),
                        name="payments_carttransaction_status_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("pk__isnull", True),
                            models.Q(
                                ("payment_method", "pay_now"),
                                ("payment_status__in", ["failed", "paid", "pending"]),
                            ),
                            models.Q(
                                ("payment_method", "pay_on_arrival"),
                                ("payment_status__in", ["paid", "pending"]),
                            ),
                            models.Q(("payment_method", "free"), ("payment_status__in", ["paid"])),
                            _connector="OR",
                        ),
                        name="payments_carttransaction_payment_fits_method",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("amount__gte", 0), ("discount__gte", 0), ("tax__gte", 0)
                        ),
                        name="payments_carttransaction_money_is_not_negative",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("payment_method", "free"), _negated=True),
                            ("amount", 0),
                            _connector="OR",
                        ),
                        name="payments_carttransaction_free_costs_nothing",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("payment_status", "paid"), _negated=True),
                            ("paid_at__isnull", False),
                            _connector="OR",
                        ),
                        name="payments_carttransaction_paid_says_when",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status__in", ["approved", "rejected"]), _negated=True),
                            ("decided_at__isnull", False),
                            _connector="OR",
                        ),
                        name="payments_carttransaction_decided_says_when",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status", "under_review"), _negated=True),
                            ("submitted_at__isnull", False),
                            _connector="OR",
                        ),
                        name="payments_carttransaction_under_review_says_since_when",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("review_due_at__isnull", False), ("status", "under_review")),
                            models.Q(
                                models.Q(("status", "under_review"), _negated=True),
                                ("review_due_at__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="payments_carttransaction_reviews_have_a_deadline",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("ended_at__isnull", False),
                                ("status__in", ["rejected", "expired", "cancelled"]),
                            ),
                            models.Q(
                                ("ended_at__isnull", True),
                                ("status__in", ["pending", "under_review", "approved"]),
                            ),
                            _connector="OR",
                        ),
                        name="payments_carttransaction_ended_says_when",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("payment_method", "pay_now"), ("status", "approved"), _negated=True
                            ),
                            ("payment_status", "paid"),
                            _connector="OR",
                        ),
                        name="payments_carttransaction_approved_is_paid",
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="follow_lifecycle",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."status" IS DISTINCT FROM (NEW."status"))',
                            func="IF (OLD.\"status\" || ':' || NEW.\"status\") <> ALL (ARRAY['approved:cancelled', 'expired:under_review', 'pending:approved', 'pending:cancelled', 'pending:expired', 'pending:rejected', 'pending:under_review', 'under_review:approved', 'under_review:cancelled', 'under_review:expired', 'under_review:rejected']) THEN RAISE EXCEPTION '% cannot become % on payments_carttransaction %', OLD.\"status\", NEW.\"status\", OLD.\"id\" USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_carttransaction_status_follows_lifecycle'; END IF; RETURN NEW;",
                            hash="e65f307e19a0f2110014959c5b526438e1577e45",
                            operation="UPDATE",
                            pgid="pgtrigger_follow_lifecycle_f003e",
                            table="payments_carttransaction",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="payment_status_lifecycle",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."payment_status" IS DISTINCT FROM (NEW."payment_status"))',
                            func="IF (OLD.\"payment_status\" || ':' || NEW.\"payment_status\") <> ALL (ARRAY['pending:failed', 'pending:paid']) THEN RAISE EXCEPTION '% cannot become % on payments_carttransaction %', OLD.\"payment_status\", NEW.\"payment_status\", OLD.\"id\" USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_carttransaction_payment_status_follows_lifecycle'; END IF; RETURN NEW;",
                            hash="feea3946af37b3e6b015e76b723af5109368020d",
                            operation="UPDATE",
                            pgid="pgtrigger_payment_status_lifecycle_9ed5c",
                            table="payments_carttransaction",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="bump_version",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                            func="NEW.version := OLD.version + 1; RETURN NEW;",
                            hash="c918be8e4ece3c4135966a3758193f073ba40d54",
                            operation="UPDATE",
                            pgid="pgtrigger_bump_version_dd13e",
                            table="payments_carttransaction",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalcarttransaction" ("id", "reference", "organization_id", "customer_id", "status", "version", "payment_method", "payment_status", "amount", "tax", "discount", "currency", "note", "due_at", "created_at", "submitted_at", "review_due_at", "escalations", "paid_at", "decided_at", "decided_by_id", "decided_by", "decision_reason", "ended_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."reference", n."organization_id", n."customer_id", n."status", n."version", n."payment_method", n."payment_status", n."amount", n."tax", n."discount", n."currency", n."note", n."due_at", n."created_at", n."submitted_at", n."review_due_at", n."escalations", n."paid_at", n."decided_at", n."decided_by_id", n."decided_by", n."decision_reason", n."ended_at", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="e84e6280d298340c31ccef1f0bedcc8acf2bbf71",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_58bf7",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="payments_carttransaction",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalcarttransaction" ("id", "reference", "organization_id", "customer_id", "status", "version", "payment_method", "payment_status", "amount", "tax", "discount", "currency", "note", "due_at", "created_at", "submitted_at", "review_due_at", "escalations", "paid_at", "decided_at", "decided_by_id", "decided_by", "decision_reason", "ended_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."reference", n."organization_id", n."customer_id", n."status", n."version", n."payment_method", n."payment_status", n."amount", n."tax", n."discount", n."currency", n."note", n."due_at", n."created_at", n."submitted_at", n."review_due_at", n."escalations", n."paid_at", n."decided_at", n."decided_by_id", n."decided_by", n."decision_reason", n."ended_at", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."reference", n."organization_id", n."customer_id", n."status", n."version", n."payment_method", n."payment_status", n."amount", n."tax", n."discount", n."currency", n."note", n."due_at", n."created_at", n."submitted_at", n."review_due_at", n."escalations", n."paid_at", n."decided_at", n."decided_by_id", n."decided_by", n."decision_reason", n."ended_at") IS DISTINCT FROM ROW(o."id", o."reference", o."organization_id", o."customer_id", o."status", o."version", o."payment_method", o."payment_status", o."amount", o."tax", o."discount", o."currency", o."note", o."due_at", o."created_at", o."submitted_at", o."review_due_at", o."escalations", o."paid_at", o."decided_at", o."decided_by_id", o."decided_by", o."decision_reason", o."ended_at"); RETURN NULL;',
                            hash="7f261265febbfbb4ae4a13a7bde3e1fbe1488eee",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_d3764",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="payments_carttransaction",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalcarttransaction" ("id", "reference", "organization_id", "customer_id", "status", "version", "payment_method", "payment_status", "amount", "tax", "discount", "currency", "note", "due_at", "created_at", "submitted_at", "review_due_at", "escalations", "paid_at", "decided_at", "decided_by_id", "decided_by", "decision_reason", "ended_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."reference", o."organization_id", o."customer_id", o."status", o."version", o."payment_method", o."payment_status", o."amount", o."tax", o."discount", o."currency", o."note", o."due_at", o."created_at", o."submitted_at", o."review_due_at", o."escalations", o."paid_at", o."decided_at", o."decided_by_id", o."decided_by", o."decision_reason", o."ended_at", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="887063a2d50f8c0b9fefc86492e0c3cfd29999ed",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_200dc",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="payments_carttransaction",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Proof",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "file",
                    models.FileField(
                        storage=payments.models.proof.proof_storage,
                        upload_to=payments.models.proof.random_name,
                    ),
                ),
                (
                    "content_type",
                    models.CharField(
                        choices=[
                            ("image/jpeg", "JPEG"),
                            ("image/png", "PNG"),
                            ("image/webp", "WebP"),
                            ("application/pdf", "PDF"),
                        ],
                        max_length=20,
                    ),
                ),
                ("size", models.PositiveIntegerField(verbose_name="bytes")),
                ("sha256", models.CharField(max_length=64)),
                ("original_name", models.CharField(max_length=200, verbose_name="file name")),
                (
                    "amount",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        max_digits=12,
                        null=True,
                        verbose_name="amount paid",
                    ),
                ),
                (
                    "reference",
                    models.CharField(blank=True, max_length=100, verbose_name="payment reference"),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("submitted", "submitted"),
                            ("accepted", "accepted"),
                            ("rejected", "rejected"),
                        ],
                        default="submitted",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("uploaded_at", models.DateTimeField(verbose_name="uploaded at")),
                (
                    "booking",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="proofs",
                        to="bookings.booking",
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="proofs",
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
                    "transaction",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="proofs",
                        to="payments.carttransaction",
                    ),
                ),
            ],
            options={
                "verbose_name": "proof of payment",
                "verbose_name_plural": "proofs of payment",
                "ordering": ["uploaded_at", "id"],
                "indexes": [
                    models.Index(
                        fields=["customer", "uploaded_at"], name="payments_pr_custome_417a69_idx"
                    ),
                    models.Index(
                        fields=["organization", "sha256"], name="payments_pr_organiz_3cd727_idx"
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["submitted", "accepted", "rejected"])),
                        name="payments_proof_status_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("amount__isnull", True), ("amount__gt", 0), _connector="OR"
                        ),
                        name="payments_proof_amount_is_positive",
                    ),
                    models.UniqueConstraint(
                        fields=("file",), name="payments_proof_file_is_its_own"
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="follow_lifecycle",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."status" IS DISTINCT FROM (NEW."status"))',
                            func="IF (OLD.\"status\" || ':' || NEW.\"status\") <> ALL (ARRAY['rejected:submitted', 'submitted:accepted', 'submitted:rejected']) THEN RAISE EXCEPTION '% cannot become % on payments_proof %', OLD.\"status\", NEW.\"status\", OLD.\"id\" USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_proof_status_follows_lifecycle'; END IF; RETURN NEW;",
                            hash="dc59ea9885ea6cf677691e6655499d285964c2d7",
                            operation="UPDATE",
                            pgid="pgtrigger_follow_lifecycle_9846a",
                            table="payments_proof",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalproof" ("id", "organization_id", "customer_id", "transaction_id", "booking_id", "file", "content_type", "size", "sha256", "original_name", "amount", "reference", "status", "uploaded_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."customer_id", n."transaction_id", n."booking_id", n."file", n."content_type", n."size", n."sha256", n."original_name", n."amount", n."reference", n."status", n."uploaded_at", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="e5dbcf7589b3216e4e9cdb34f6a1e27776f81551",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_31e70",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="payments_proof",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalproof" ("id", "organization_id", "customer_id", "transaction_id", "booking_id", "file", "content_type", "size", "sha256", "original_name", "amount", "reference", "status", "uploaded_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."customer_id", n."transaction_id", n."booking_id", n."file", n."content_type", n."size", n."sha256", n."original_name", n."amount", n."reference", n."status", n."uploaded_at", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."customer_id", n."transaction_id", n."booking_id", n."file", n."content_type", n."size", n."sha256", n."original_name", n."amount", n."reference", n."status", n."uploaded_at") IS DISTINCT FROM ROW(o."id", o."organization_id", o."customer_id", o."transaction_id", o."booking_id", o."file", o."content_type", o."size", o."sha256", o."original_name", o."amount", o."reference", o."status", o."uploaded_at"); RETURN NULL;',
                            hash="af3b879affb971c98523175b872ab79d2cb01e94",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_1ed95",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="payments_proof",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalproof" ("id", "organization_id", "customer_id", "transaction_id", "booking_id", "file", "content_type", "size", "sha256", "original_name", "amount", "reference", "status", "uploaded_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."customer_id", o."transaction_id", o."booking_id", o."file", o."content_type", o."size", o."sha256", o."original_name", o."amount", o."reference", o."status", o."uploaded_at", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="87431fb7b6d48da29e1904dbe9e5387f5dc7662b",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_2e871",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="payments_proof",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="CancellationPolicy",
            fields=[
                (
                    "resource",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="cancellation_policy",
                        serialize=False,
                        to="bookings.resource",
                    ),
                ),
                (
                    "free_until_minutes",
                    models.PositiveIntegerField(
                        default=1440,
                        help_text="Until then everything is paid back.",
                        verbose_name="free until (minutes before the start)",
                    ),
                ),
                (
                    "fee_percent",
                    models.DecimalField(
                        decimal_places=2,
                        default=Decimal("0"),
                        max_digits=5,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0")),
                            django.core.validators.MaxValueValidator(Decimal("100")),
                        ],
                        verbose_name="fee after that, in percent of the price",
                    ),
                ),
                (
                    "least_fee",
                    models.DecimalField(
                        decimal_places=2,
                        default=Decimal("0"),
                        help_text="Never more than the price. In the currency of the price.",
                        max_digits=12,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0")),
                            django.core.validators.MaxValueValidator(Decimal("1000000")),
                        ],
                        verbose_name="but at least",
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
            ],
            options={
                "verbose_name": "cancellation policy",
                "verbose_name_plural": "cancellation policies",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("fee_percent__gte", 0), ("fee_percent__lte", 100)),
                        name="payments_cancellationpolicy_fee_is_a_percentage",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("least_fee__gte", 0), ("least_fee__lte", Decimal("1000000"))
                        ),
                        name="payments_cancellationpolicy_least_fee_is_sane",
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalcancellationpolicy" ("resource_id", "organization_id", "free_until_minutes", "fee_percent", "least_fee", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."resource_id", n."organization_id", n."free_until_minutes", n."fee_percent", n."least_fee", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="e01a927c3b92f8940a456fdd1168ee5b2ae3c9bf",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_03a2a",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="payments_cancellationpolicy",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalcancellationpolicy" ("resource_id", "organization_id", "free_until_minutes", "fee_percent", "least_fee", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."resource_id", n."organization_id", n."free_until_minutes", n."fee_percent", n."least_fee", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."resource_id" = n."resource_id", audit_context() c WHERE ROW(n."resource_id", n."organization_id", n."free_until_minutes", n."fee_percent", n."least_fee") IS DISTINCT FROM ROW(o."resource_id", o."organization_id", o."free_until_minutes", o."fee_percent", o."least_fee"); RETURN NULL;',
                            hash="e4873d3cd226bb86057f90c76536328112311662",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_793a2",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="payments_cancellationpolicy",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalcancellationpolicy" ("resource_id", "organization_id", "free_until_minutes", "fee_percent", "least_fee", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."resource_id", o."organization_id", o."free_until_minutes", o."fee_percent", o."least_fee", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="bba0e4846932115be43775401e9534bad324ee3b",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_f0639",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="payments_cancellationpolicy",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Refund",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "amount",
                    models.DecimalField(decimal_places=2, max_digits=12, verbose_name="amount"),
                ),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                (
                    "way",
                    models.CharField(
                        choices=[("transfer", "paid back"), ("credit", "kept as credit")],
                        default="transfer",
                        max_length=10,
                        verbose_name="how",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("owed", "owed"), ("done", "done"), ("waived", "waived")],
                        default="owed",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                (
                    "verified",
                    models.BooleanField(default=True, verbose_name="the money has been seen"),
                ),
                ("reason", models.CharField(blank=True, max_length=500, verbose_name="why")),
                ("created_at", models.DateTimeField(verbose_name="owed since")),
                (
                    "settled_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="settled at"),
                ),
                ("settled_by_id", models.UUIDField(blank=True, editable=False, null=True)),
                (
                    "settled_by",
                    models.CharField(
                        blank=True, editable=False, max_length=200, verbose_name="settled by"
                    ),
                ),
                (
                    "reference",
                    models.CharField(
                        blank=True,
                        help_text="Of the transfer or the credit.",
                        max_length=100,
                        verbose_name="reference",
                    ),
                ),
                ("note", models.CharField(blank=True, max_length=500, verbose_name="note")),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="refunds",
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
                    "transaction",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="refunds",
                        to="payments.carttransaction",
                        verbose_name="transaction",
                    ),
                ),
            ],
            options={
                "verbose_name": "refund",
                "verbose_name_plural": "refunds",
                "ordering": ["-created_at", "-id"],
                "permissions": [("settle_refund", "Can settle refunds")],
                "indexes": [
                    models.Index(
                        condition=models.Q(("status", "owed")),
                        fields=["organization", "created_at"],
                        name="payments_refunds_owed",
                    ),
                    models.Index(
                        fields=["organization", "-created_at", "-id"],
                        name="payments_re_organiz_e94dcb_idx",
                    ),
                    models.Index(
                        fields=["customer", "-created_at"], name="payments_re_custome_f29879_idx"
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount__gt", 0)), name="payments_refund_is_positive"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["owed", "done", "waived"])),
                        name="payments_refund_status_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("way__in", ["transfer", "credit"])),
                        name="payments_refund_way_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("reference", ""), ("settled_at__isnull", True), ("status", "owed")
                            ),
                            models.Q(
                                ("settled_at__isnull", False),
                                ("status", "done"),
                                ("verified", True),
                                models.Q(("reference", ""), _negated=True),
                            ),
                            models.Q(
                                ("reference", ""),
                                ("settled_at__isnull", False),
                                ("status", "waived"),
                                models.Q(("note", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="payments_refund_settled_says_when_and_how",
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="follow_lifecycle",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."status" IS DISTINCT FROM (NEW."status"))',
                            func="IF (OLD.\"status\" || ':' || NEW.\"status\") <> ALL (ARRAY['done:owed', 'owed:done', 'owed:waived', 'waived:owed']) THEN RAISE EXCEPTION '% cannot become % on payments_refund %', OLD.\"status\", NEW.\"status\", OLD.\"id\" USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_refund_status_follows_lifecycle'; END IF; RETURN NEW;",
                            hash="4348ae1e0b0b3239ab183d64b791f28b6d2d84f5",
                            operation="UPDATE",
                            pgid="pgtrigger_follow_lifecycle_de071",
                            table="payments_refund",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="keep_amount",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."amount" IS DISTINCT FROM (NEW."amount") OR OLD."currency" IS DISTINCT FROM (NEW."currency") OR OLD."customer_id" IS DISTINCT FROM (NEW."customer_id") OR OLD."transaction_id" IS DISTINCT FROM (NEW."transaction_id"))',
                            func="\n                    RAISE EXCEPTION 'refund % stays what was owed', OLD.id USING\n                        ERRCODE = 'check_violation',\n                        CONSTRAINT = 'payments_refund_keeps_its_amount';\n                ",
                            hash="e0079858b1e9772c8646de8b7a2813745db3c82e",
                            operation="UPDATE",
                            pgid="pgtrigger_keep_amount_f47da",
                            table="payments_refund",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalrefund" ("id", "organization_id", "customer_id", "transaction_id", "amount", "currency", "way", "status", "verified", "reason", "created_at", "settled_at", "settled_by_id", "settled_by", "reference", "note", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."customer_id", n."transaction_id", n."amount", n."currency", n."way", n."status", n."verified", n."reason", n."created_at", n."settled_at", n."settled_by_id", n."settled_by", n."reference", n."note", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="e5e425da73c40fe7caffcf1d35fb1b3f67ba78af",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_98656",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="payments_refund",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalrefund" ("id", "organization_id", "customer_id", "transaction_id", "amount", "currency", "way", "status", "verified", "reason", "created_at", "settled_at", "settled_by_id", "settled_by", "reference", "note", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."customer_id", n."transaction_id", n."amount", n."currency", n."way", n."status", n."verified", n."reason", n."created_at", n."settled_at", n."settled_by_id", n."settled_by", n."reference", n."note", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."customer_id", n."transaction_id", n."amount", n."currency", n."way", n."status", n."verified", n."reason", n."created_at", n."settled_at", n."settled_by_id", n."settled_by", n."reference", n."note") IS DISTINCT FROM ROW(o."id", o."organization_id", o."customer_id", o."transaction_id", o."amount", o."currency", o."way", o."status", o."verified", o."reason", o."created_at", o."settled_at", o."settled_by_id", o."settled_by", o."reference", o."note"); RETURN NULL;',
                            hash="d8567ecb28825a28e896cb0cb8c09c997f39894c",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_863d8",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="payments_refund",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalrefund" ("id", "organization_id", "customer_id", "transaction_id", "amount", "currency", "way", "status", "verified", "reason", "created_at", "settled_at", "settled_by_id", "settled_by", "reference", "note", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."customer_id", o."transaction_id", o."amount", o."currency", o."way", o."status", o."verified", o."reason", o."created_at", o."settled_at", o."settled_by_id", o."settled_by", o."reference", o."note", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="076b63b7837a6d87c560a148cff3af664e16020f",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_fc3bb",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="payments_refund",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="CartItem",
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
                            ("in_cart", "in the cart"),
                            ("checked_out", "checked out"),
                            ("approved", "approved"),
                            ("rejected", "rejected"),
                            ("expired", "expired"),
                            ("cancelled", "cancelled"),
                        ],
                        default="in_cart",
                        max_length=12,
                        verbose_name="status",
                    ),
                ),
                ("price_name", models.CharField(blank=True, max_length=100, verbose_name="price")),
                (
                    "unit_price",
                    models.DecimalField(blank=True, decimal_places=2, max_digits=12, null=True),
                ),
                ("quantity", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "discount",
                    models.DecimalField(decimal_places=2, default=Decimal("0"), max_digits=12),
                ),
                (
                    "tax_percent",
                    models.DecimalField(decimal_places=2, default=Decimal("0"), max_digits=5),
                ),
                ("tax", models.DecimalField(decimal_places=2, default=Decimal("0"), max_digits=12)),
                (
                    "amount",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        max_digits=12,
                        null=True,
                        verbose_name="amount",
                    ),
                ),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("free_until_minutes", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "late_fee",
                    models.DecimalField(decimal_places=2, default=Decimal("0"), max_digits=12),
                ),
                (
                    "fee",
                    models.DecimalField(
                        decimal_places=2, default=Decimal("0"), max_digits=12, verbose_name="fee"
                    ),
                ),
                ("created_at", models.DateTimeField()),
                (
                    "booking",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="cart_item",
                        to="bookings.booking",
                    ),
                ),
                (
                    "cart",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="items",
                        to="payments.cart",
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
                    "transaction",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="items",
                        to="payments.carttransaction",
                    ),
                ),
                (
                    "refund",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="items",
                        to="payments.refund",
                    ),
                ),
            ],
            options={
                "verbose_name": "cart item",
                "verbose_name_plural": "cart items",
                "ordering": ["created_at", "id"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "status__in",
                                [
                                    "in_cart",
                                    "checked_out",
                                    "approved",
                                    "rejected",
                                    "expired",
                                    "cancelled",
                                ],
                            )
                        ),
                        name="payments_cartitem_status_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["in_cart", "expired", "cancelled"]),
                            ("transaction__isnull", False),
                            _connector="OR",
                        ),
                        name="payments_cartitem_checked_out_has_a_transaction",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("transaction__isnull", True),
                            models.Q(
                                ("amount__isnull", False),
                                ("quantity__isnull", False),
                                ("unit_price__isnull", False),
                                models.Q(("currency", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="payments_cartitem_price_is_frozen",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("cart__isnull", False), ("transaction__isnull", False), _connector="OR"
                        ),
                        name="payments_cartitem_belongs_somewhere",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("amount__isnull", True), ("amount__gte", 0), _connector="OR"),
                            ("discount__gte", 0),
                            ("tax__gte", 0),
                        ),
                        name="payments_cartitem_money_is_not_negative",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("fee", 0), ("late_fee", 0)),
                            models.Q(
                                ("fee__gte", 0),
                                ("fee__lte", models.F("amount")),
                                ("late_fee__gte", 0),
                                ("late_fee__lte", models.F("amount")),
                            ),
                            _connector="OR",
                        ),
                        name="payments_cartitem_fee_is_part_of_the_amount",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("refund__isnull", True),
                            ("status__in", ["cancelled", "rejected", "expired"]),
                            _connector="OR",
                        ),
                        name="payments_cartitem_refunded_has_ended",
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="follow_lifecycle",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."status" IS DISTINCT FROM (NEW."status"))',
                            func="IF (OLD.\"status\" || ':' || NEW.\"status\") <> ALL (ARRAY['approved:cancelled', 'checked_out:approved', 'checked_out:cancelled', 'checked_out:expired', 'checked_out:rejected', 'expired:checked_out', 'in_cart:cancelled', 'in_cart:checked_out', 'in_cart:expired']) THEN RAISE EXCEPTION '% cannot become % on payments_cartitem %', OLD.\"status\", NEW.\"status\", OLD.\"id\" USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_cartitem_status_follows_lifecycle'; END IF; RETURN NEW;",
                            hash="7b05553764236fa5283a9e25050087d23559fef0",
                            operation="UPDATE",
                            pgid="pgtrigger_follow_lifecycle_c234d",
                            table="payments_cartitem",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalcartitem" ("id", "organization_id", "cart_id", "transaction_id", "booking_id", "status", "price_name", "unit_price", "quantity", "discount", "tax_percent", "tax", "amount", "currency", "free_until_minutes", "late_fee", "fee", "refund_id", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."cart_id", n."transaction_id", n."booking_id", n."status", n."price_name", n."unit_price", n."quantity", n."discount", n."tax_percent", n."tax", n."amount", n."currency", n."free_until_minutes", n."late_fee", n."fee", n."refund_id", n."created_at", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="6f9f238aa5435df5ab7b943e7ef30f0db33bc0cb",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_ba1bc",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="payments_cartitem",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalcartitem" ("id", "organization_id", "cart_id", "transaction_id", "booking_id", "status", "price_name", "unit_price", "quantity", "discount", "tax_percent", "tax", "amount", "currency", "free_until_minutes", "late_fee", "fee", "refund_id", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."cart_id", n."transaction_id", n."booking_id", n."status", n."price_name", n."unit_price", n."quantity", n."discount", n."tax_percent", n."tax", n."amount", n."currency", n."free_until_minutes", n."late_fee", n."fee", n."refund_id", n."created_at", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."cart_id", n."transaction_id", n."booking_id", n."status", n."price_name", n."unit_price", n."quantity", n."discount", n."tax_percent", n."tax", n."amount", n."currency", n."free_until_minutes", n."late_fee", n."fee", n."refund_id", n."created_at") IS DISTINCT FROM ROW(o."id", o."organization_id", o."cart_id", o."transaction_id", o."booking_id", o."status", o."price_name", o."unit_price", o."quantity", o."discount", o."tax_percent", o."tax", o."amount", o."currency", o."free_until_minutes", o."late_fee", o."fee", o."refund_id", o."created_at"); RETURN NULL;',
                            hash="83ef88cb0815c11c5d968ef710e48f63558fc463",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_76ea9",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="payments_cartitem",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicalcartitem" ("id", "organization_id", "cart_id", "transaction_id", "booking_id", "status", "price_name", "unit_price", "quantity", "discount", "tax_percent", "tax", "amount", "currency", "free_until_minutes", "late_fee", "fee", "refund_id", "created_at", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."cart_id", o."transaction_id", o."booking_id", o."status", o."price_name", o."unit_price", o."quantity", o."discount", o."tax_percent", o."tax", o."amount", o."currency", o."free_until_minutes", o."late_fee", o."fee", o."refund_id", o."created_at", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="30c869f7358ba88598e853e33e8f2713cf1aa171",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_186be",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="payments_cartitem",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="LatePayment",
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
                            ("open", "waiting for a decision"),
                            ("reinstated", "booked after all"),
                            ("refunded", "to be paid back"),
                            ("credited", "kept as credit"),
                            ("dismissed", "dismissed"),
                        ],
                        default="open",
                        max_length=12,
                        verbose_name="status",
                    ),
                ),
                (
                    "reason",
                    models.CharField(
                        blank=True, max_length=500, verbose_name="why the seats are gone"
                    ),
                ),
                ("created_at", models.DateTimeField(verbose_name="came at")),
                (
                    "resolved_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="decided at"),
                ),
                ("resolved_by_id", models.UUIDField(blank=True, editable=False, null=True)),
                (
                    "resolved_by",
                    models.CharField(
                        blank=True, editable=False, max_length=200, verbose_name="decided by"
                    ),
                ),
                ("note", models.CharField(blank=True, max_length=500, verbose_name="note")),
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
                    "transaction",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="late_payment",
                        to="payments.carttransaction",
                        verbose_name="transaction",
                    ),
                ),
                (
                    "proof",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="payments.proof",
                        verbose_name="proof of payment",
                    ),
                ),
                (
                    "refund",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="late_payment",
                        to="payments.refund",
                        verbose_name="refund",
                    ),
                ),
            ],
            options={
                "verbose_name": "late payment",
                "verbose_name_plural": "late payments",
                "ordering": ["-created_at", "-id"],
                "permissions": [("resolve_latepayment", "Can decide on late payments")],
                "indexes": [
                    models.Index(
                        condition=models.Q(("status", "open")),
                        fields=["organization", "created_at"],
                        name="payments_late_open",
                    ),
                    models.Index(
                        fields=["organization", "-created_at", "-id"],
                        name="payments_la_organiz_192e24_idx",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "status__in",
                                ["open", "reinstated", "refunded", "credited", "dismissed"],
                            )
                        ),
                        name="payments_latepayment_status_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("resolved_at__isnull", True), ("status", "open")),
                            models.Q(
                                models.Q(("status", "open"), _negated=True),
                                ("resolved_at__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="payments_latepayment_resolved_says_when",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("refund__isnull", False), ("status__in", ["refunded", "credited"])
                            ),
                            models.Q(
                                models.Q(("status__in", ["refunded", "credited"]), _negated=True),
                                ("refund__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="payments_latepayment_money_kept_is_owed",
                    ),
                ],
                "triggers": [
                    pgtrigger.compiler.Trigger(
                        name="follow_lifecycle",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            condition='WHEN (OLD."status" IS DISTINCT FROM (NEW."status"))',
                            func="IF (OLD.\"status\" || ':' || NEW.\"status\") <> ALL (ARRAY['dismissed:open', 'open:credited', 'open:dismissed', 'open:refunded', 'open:reinstated']) THEN RAISE EXCEPTION '% cannot become % on payments_latepayment %', OLD.\"status\", NEW.\"status\", OLD.\"id\" USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_latepayment_status_follows_lifecycle'; END IF; RETURN NEW;",
                            hash="eb227d2df68adbcf17ed49497d97b92d6eb89d1f",
                            operation="UPDATE",
                            pgid="pgtrigger_follow_lifecycle_75070",
                            table="payments_latepayment",
                            when="BEFORE",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_insert",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicallatepayment" ("id", "organization_id", "transaction_id", "proof_id", "status", "reason", "created_at", "resolved_at", "resolved_by_id", "resolved_by", "note", "refund_id", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."transaction_id", n."proof_id", n."status", n."reason", n."created_at", n."resolved_at", n."resolved_by_id", n."resolved_by", n."note", n."refund_id", clock_timestamp(), \'+\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n, audit_context() c; RETURN NULL;',
                            hash="914fed56c15c2203a4cc92f2ef2b2cc345267063",
                            level="STATEMENT",
                            operation="INSERT",
                            pgid="pgtrigger_trail_insert_45dc5",
                            referencing="REFERENCING NEW TABLE AS new_rows ",
                            table="payments_latepayment",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_update",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicallatepayment" ("id", "organization_id", "transaction_id", "proof_id", "status", "reason", "created_at", "resolved_at", "resolved_by_id", "resolved_by", "note", "refund_id", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT n."id", n."organization_id", n."transaction_id", n."proof_id", n."status", n."reason", n."created_at", n."resolved_at", n."resolved_by_id", n."resolved_by", n."note", n."refund_id", clock_timestamp(), \'~\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM new_rows n JOIN old_rows o ON o."id" = n."id", audit_context() c WHERE ROW(n."id", n."organization_id", n."transaction_id", n."proof_id", n."status", n."reason", n."created_at", n."resolved_at", n."resolved_by_id", n."resolved_by", n."note", n."refund_id") IS DISTINCT FROM ROW(o."id", o."organization_id", o."transaction_id", o."proof_id", o."status", o."reason", o."created_at", o."resolved_at", o."resolved_by_id", o."resolved_by", o."note", o."refund_id"); RETURN NULL;',
                            hash="5c38f65737a4891faa5c0e2c5ae781e68e1eb8d3",
                            level="STATEMENT",
                            operation="UPDATE",
                            pgid="pgtrigger_trail_update_ec83b",
                            referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                            table="payments_latepayment",
                            when="AFTER",
                        ),
                    ),
                    pgtrigger.compiler.Trigger(
                        name="trail_delete",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func='INSERT INTO "payments_historicallatepayment" ("id", "organization_id", "transaction_id", "proof_id", "status", "reason", "created_at", "resolved_at", "resolved_by_id", "resolved_by", "note", "refund_id", history_date, history_type, history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip, user_agent, request_id) SELECT o."id", o."organization_id", o."transaction_id", o."proof_id", o."status", o."reason", o."created_at", o."resolved_at", o."resolved_by_id", o."resolved_by", o."note", o."refund_id", clock_timestamp(), \'-\', COALESCE(c.reason, \'\'), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip, COALESCE(c.user_agent, \'\'), COALESCE(c.request_id, \'\') FROM old_rows o, audit_context() c; RETURN NULL;',
                            hash="0c4ca2cea63a29f0d8438ba1e82272e492892a1a",
                            level="STATEMENT",
                            operation="DELETE",
                            pgid="pgtrigger_trail_delete_19094",
                            referencing="REFERENCING OLD TABLE AS old_rows ",
                            table="payments_latepayment",
                            when="AFTER",
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalCart",
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
                            ("open", "open"),
                            ("checked_out", "checked out"),
                            ("closed", "closed"),
                        ],
                        default="open",
                        max_length=12,
                        verbose_name="status",
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("checked_out_at", models.DateTimeField(blank=True, null=True)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
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
            ],
            options={
                "verbose_name": "historical cart",
                "verbose_name_plural": "historical carts",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="payments_hi_id_4d71c0_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="payments_hi_history_a57cf7_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalCartItem",
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
                            ("in_cart", "in the cart"),
                            ("checked_out", "checked out"),
                            ("approved", "approved"),
                            ("rejected", "rejected"),
                            ("expired", "expired"),
                            ("cancelled", "cancelled"),
                        ],
                        default="in_cart",
                        max_length=12,
                        verbose_name="status",
                    ),
                ),
                ("price_name", models.CharField(blank=True, max_length=100, verbose_name="price")),
                (
                    "unit_price",
                    models.DecimalField(blank=True, decimal_places=2, max_digits=12, null=True),
                ),
                ("quantity", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "discount",
                    models.DecimalField(decimal_places=2, default=Decimal("0"), max_digits=12),
                ),
                (
                    "tax_percent",
                    models.DecimalField(decimal_places=2, default=Decimal("0"), max_digits=5),
                ),
                ("tax", models.DecimalField(decimal_places=2, default=Decimal("0"), max_digits=12)),
                (
                    "amount",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        max_digits=12,
                        null=True,
                        verbose_name="amount",
                    ),
                ),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("free_until_minutes", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "late_fee",
                    models.DecimalField(decimal_places=2, default=Decimal("0"), max_digits=12),
                ),
                (
                    "fee",
                    models.DecimalField(
                        decimal_places=2, default=Decimal("0"), max_digits=12, verbose_name="fee"
                    ),
                ),
                ("created_at", models.DateTimeField()),
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
                (
                    "cart",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="payments.cart",
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
                    "transaction",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="payments.carttransaction",
                    ),
                ),
                (
                    "refund",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="payments.refund",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical cart item",
                "verbose_name_plural": "historical cart items",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="payments_hi_id_fd596f_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="payments_hi_history_892754_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalPaymentPolicy",
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
                    "accepts_pay_now",
                    models.BooleanField(default=True, verbose_name="accepts proofs of payment"),
                ),
                (
                    "accepts_pay_on_arrival",
                    models.BooleanField(default=True, verbose_name="accepts payment on arrival"),
                ),
                (
                    "instructions",
                    models.TextField(
                        blank=True,
                        help_text="Shown and mailed after checkout: bank account, wallet, reference.",
                        verbose_name="how to pay",
                    ),
                ),
                (
                    "proof_required",
                    models.BooleanField(
                        default=True,
                        help_text="If not, staff may approve what they see on the account without a file.",
                        verbose_name="needs a proof before approval",
                    ),
                ),
                (
                    "confirms_pay_on_arrival",
                    models.BooleanField(
                        default=False, verbose_name="confirms payment on arrival at once"
                    ),
                ),
                (
                    "review_hours",
                    models.PositiveSmallIntegerField(
                        db_default=24,
                        default=24,
                        help_text="Then the managers are told, and again each time so many hours have passed.",
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="hours to review a proof",
                    ),
                ),
                (
                    "confirms_free",
                    models.BooleanField(default=True, verbose_name="confirms what is free at once"),
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
                "verbose_name": "historical payment policy",
                "verbose_name_plural": "historical payment policies",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(
                        fields=["organization_id", "history_id"],
                        name="payments_hi_organiz_d32101_idx",
                    ),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="payments_hi_history_2fdf92_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalPrice",
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
                ("name", models.CharField(default="Standard", max_length=100, verbose_name="name")),
                (
                    "amount",
                    models.DecimalField(
                        decimal_places=2,
                        help_text="With tax.",
                        max_digits=12,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0")),
                            django.core.validators.MaxValueValidator(Decimal("1000000")),
                        ],
                        verbose_name="amount",
                    ),
                ),
                (
                    "currency",
                    models.CharField(
                        default="EUR",
                        max_length=3,
                        validators=[django.core.validators.RegexValidator("^[A-Z]{3}$")],
                        verbose_name="currency",
                    ),
                ),
                (
                    "basis",
                    models.CharField(
                        choices=[("booking", "per booking"), ("unit", "per person")],
                        default="booking",
                        max_length=10,
                        verbose_name="charged",
                    ),
                ),
                (
                    "discount_percent",
                    models.DecimalField(
                        decimal_places=2,
                        default=Decimal("0"),
                        max_digits=5,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0")),
                            django.core.validators.MaxValueValidator(Decimal("100")),
                        ],
                        verbose_name="discount in percent",
                    ),
                ),
                (
                    "tax_percent",
                    models.DecimalField(
                        decimal_places=2,
                        default=Decimal("0"),
                        max_digits=5,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0")),
                            django.core.validators.MaxValueValidator(Decimal("100")),
                        ],
                        verbose_name="tax in percent, within the amount",
                    ),
                ),
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
                ("from_time", models.TimeField(blank=True, null=True, verbose_name="from")),
                ("until_time", models.TimeField(blank=True, null=True, verbose_name="until")),
                ("valid_from", models.DateField(blank=True, null=True, verbose_name="valid from")),
                (
                    "valid_until",
                    models.DateField(blank=True, null=True, verbose_name="valid until"),
                ),
                ("priority", models.SmallIntegerField(default=0, verbose_name="priority")),
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
                "verbose_name": "historical price",
                "verbose_name_plural": "historical prices",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="payments_hi_id_1c10e7_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="payments_hi_history_d62e09_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalCartTransaction",
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
                        help_text="What the customer writes on the transfer.",
                        max_length=11,
                        verbose_name="reference",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("under_review", "under review"),
                            ("approved", "approved"),
                            ("rejected", "rejected"),
                            ("expired", "expired"),
                            ("cancelled", "cancelled"),
                        ],
                        default="pending",
                        max_length=12,
                        verbose_name="status",
                    ),
                ),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                (
                    "payment_method",
                    models.CharField(
                        choices=[
                            ("pay_now", "pay now, by proof of payment"),
                            ("pay_on_arrival", "pay on arrival"),
                            ("free", "free"),
                        ],
                        max_length=20,
                        verbose_name="payment",
                    ),
                ),
                (
                    "payment_status",
                    models.CharField(
                        choices=[("pending", "pending"), ("paid", "paid"), ("failed", "failed")],
                        default="pending",
                        max_length=10,
                        verbose_name="payment status",
                    ),
                ),
                (
                    "amount",
                    models.DecimalField(decimal_places=2, max_digits=12, verbose_name="amount"),
                ),
                ("tax", models.DecimalField(decimal_places=2, max_digits=12, verbose_name="tax")),
                (
                    "discount",
                    models.DecimalField(decimal_places=2, max_digits=12, verbose_name="discount"),
                ),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                ("note", models.TextField(blank=True, verbose_name="note of the customer")),
                (
                    "due_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="to be paid until"),
                ),
                ("created_at", models.DateTimeField(verbose_name="made at")),
                (
                    "submitted_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="proof since"),
                ),
                (
                    "review_due_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="review due at"),
                ),
                (
                    "escalations",
                    models.PositiveSmallIntegerField(
                        db_default=0, default=0, verbose_name="times the managers were told"
                    ),
                ),
                ("paid_at", models.DateTimeField(blank=True, null=True, verbose_name="paid at")),
                (
                    "decided_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="decided at"),
                ),
                ("decided_by_id", models.UUIDField(blank=True, editable=False, null=True)),
                (
                    "decided_by",
                    models.CharField(
                        blank=True, editable=False, max_length=200, verbose_name="decided by"
                    ),
                ),
                ("decision_reason", models.TextField(blank=True, verbose_name="reason")),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended at")),
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
            ],
            options={
                "verbose_name": "historical transaction",
                "verbose_name_plural": "historical transactions",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="payments_hi_id_907afd_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="payments_hi_history_f8c43b_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalProof",
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
                ("file", models.TextField(max_length=100)),
                (
                    "content_type",
                    models.CharField(
                        choices=[
                            ("image/jpeg", "JPEG"),
                            ("image/png", "PNG"),
                            ("image/webp", "WebP"),
                            ("application/pdf", "PDF"),
                        ],
                        max_length=20,
                    ),
                ),
                ("size", models.PositiveIntegerField(verbose_name="bytes")),
                ("sha256", models.CharField(max_length=64)),
                ("original_name", models.CharField(max_length=200, verbose_name="file name")),
                (
                    "amount",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        max_digits=12,
                        null=True,
                        verbose_name="amount paid",
                    ),
                ),
                (
                    "reference",
                    models.CharField(blank=True, max_length=100, verbose_name="payment reference"),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("submitted", "submitted"),
                            ("accepted", "accepted"),
                            ("rejected", "rejected"),
                        ],
                        default="submitted",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("uploaded_at", models.DateTimeField(verbose_name="uploaded at")),
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
                    "transaction",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="payments.carttransaction",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical proof of payment",
                "verbose_name_plural": "historical proofs of payment",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="payments_hi_id_4811df_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="payments_hi_history_e0c55e_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalCancellationPolicy",
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
                    "free_until_minutes",
                    models.PositiveIntegerField(
                        default=1440,
                        help_text="Until then everything is paid back.",
                        verbose_name="free until (minutes before the start)",
                    ),
                ),
                (
                    "fee_percent",
                    models.DecimalField(
                        decimal_places=2,
                        default=Decimal("0"),
                        max_digits=5,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0")),
                            django.core.validators.MaxValueValidator(Decimal("100")),
                        ],
                        verbose_name="fee after that, in percent of the price",
                    ),
                ),
                (
                    "least_fee",
                    models.DecimalField(
                        decimal_places=2,
                        default=Decimal("0"),
                        help_text="Never more than the price. In the currency of the price.",
                        max_digits=12,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0")),
                            django.core.validators.MaxValueValidator(Decimal("1000000")),
                        ],
                        verbose_name="but at least",
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
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bookings.resource",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical cancellation policy",
                "verbose_name_plural": "historical cancellation policies",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(
                        fields=["resource_id", "history_id"], name="payments_hi_resourc_31e7af_idx"
                    ),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="payments_hi_history_c510f4_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalRefund",
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
                    "amount",
                    models.DecimalField(decimal_places=2, max_digits=12, verbose_name="amount"),
                ),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                (
                    "way",
                    models.CharField(
                        choices=[("transfer", "paid back"), ("credit", "kept as credit")],
                        default="transfer",
                        max_length=10,
                        verbose_name="how",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("owed", "owed"), ("done", "done"), ("waived", "waived")],
                        default="owed",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                (
                    "verified",
                    models.BooleanField(default=True, verbose_name="the money has been seen"),
                ),
                ("reason", models.CharField(blank=True, max_length=500, verbose_name="why")),
                ("created_at", models.DateTimeField(verbose_name="owed since")),
                (
                    "settled_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="settled at"),
                ),
                ("settled_by_id", models.UUIDField(blank=True, editable=False, null=True)),
                (
                    "settled_by",
                    models.CharField(
                        blank=True, editable=False, max_length=200, verbose_name="settled by"
                    ),
                ),
                (
                    "reference",
                    models.CharField(
                        blank=True,
                        help_text="Of the transfer or the credit.",
                        max_length=100,
                        verbose_name="reference",
                    ),
                ),
                ("note", models.CharField(blank=True, max_length=500, verbose_name="note")),
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
                    "transaction",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="payments.carttransaction",
                        verbose_name="transaction",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical refund",
                "verbose_name_plural": "historical refunds",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="payments_hi_id_b3d249_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="payments_hi_history_899b47_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalLatePayment",
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
                            ("open", "waiting for a decision"),
                            ("reinstated", "booked after all"),
                            ("refunded", "to be paid back"),
                            ("credited", "kept as credit"),
                            ("dismissed", "dismissed"),
                        ],
                        default="open",
                        max_length=12,
                        verbose_name="status",
                    ),
                ),
                (
                    "reason",
                    models.CharField(
                        blank=True, max_length=500, verbose_name="why the seats are gone"
                    ),
                ),
                ("created_at", models.DateTimeField(verbose_name="came at")),
                (
                    "resolved_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="decided at"),
                ),
                ("resolved_by_id", models.UUIDField(blank=True, editable=False, null=True)),
                (
                    "resolved_by",
                    models.CharField(
                        blank=True, editable=False, max_length=200, verbose_name="decided by"
                    ),
                ),
                ("note", models.CharField(blank=True, max_length=500, verbose_name="note")),
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
                    "transaction",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="payments.carttransaction",
                        verbose_name="transaction",
                    ),
                ),
                (
                    "proof",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="payments.proof",
                        verbose_name="proof of payment",
                    ),
                ),
                (
                    "refund",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="payments.refund",
                        verbose_name="refund",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical late payment",
                "verbose_name_plural": "historical late payments",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["id", "history_id"], name="payments_hi_id_047e50_idx"),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["history_date"], name="payments_hi_history_dc69d1_brin"
                    ),
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
    ]
