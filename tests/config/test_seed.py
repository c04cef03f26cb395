"""The demo's data: complete, consistent, and the same when it is made twice. Serves F4, A9."""

import io
from datetime import time, timedelta
from zoneinfo import ZoneInfo

import pypdfium2
import pytest
from django.core.management import CommandError, call_command
from django.db.models import F, Model
from django.utils import timezone
from PIL import Image

from audit.consistency.runner import run_checks
from audit.context import Actor
from audit.history import tracked_models, trail_of
from audit.models import OutboxEvent
from bookings.lifecycle import BookingStatus
from bookings.models import (
    Booking,
    Customer,
    Organization,
    Proposal,
    Reminder,
    Resource,
    Schedule,
    ScheduleException,
    ScheduleRule,
    Series,
    Slot,
    User,
)
from bookings.services import regenerating
from config.management.commands.seed_demo import seed
from payments.files import orphans
from payments.lifecycle import PaymentMethod, PaymentStatus, ProofStatus, TransactionStatus
from payments.models import CartItem, CartTransaction, LatePayment, Proof, Refund
from payments.models.proof import proof_storage
from tests.audit.mails import english_in
from waitlist.models import Offer, WaitlistEntry
from waitlist.selectors import line_of, load_positions

pytestmark = pytest.mark.django_db(transaction=True)


def rows_and_trails() -> dict[str, int]:
    models: list[type[Model]] = [
        *tracked_models(),
        *(trail_of(m) for m in tracked_models()),
        OutboxEvent,
    ]
    return {m._meta.db_table: m._default_manager.count() for m in models}


def values(model: type, field: str) -> set[str]:
    return set(model.objects.values_list(field, flat=True).distinct())  # type: ignore[attr-defined]


def test_the_demo_shows_everything_agrees_with_itself_and_is_made_once(settings):
    settings.OUTBOX_KICK = False
    now = timezone.now()

    logins = seed(now=now)

    assert [login.role for login in logins] == [
        "admin",
        "owner",
        "manager",
        "reviewer",
        "front_desk",
        "provider",
        "customer",
    ]
    for login in logins:
        user = User.objects.get(email=login.email)
        assert user.check_password(login.password)
        if login.organization and login.role != "customer":
            organization = Organization.objects.get(slug=login.organization)
            assert user.roles[organization.pk] == login.role
    assert User.objects.get(email=logins[0].email).is_superuser
    assert 55 <= Customer.objects.count() <= 70

    assert values(Booking, "status") == set(BookingStatus.values)
    assert values(CartTransaction, "status") == set(TransactionStatus.values)
    assert values(CartTransaction, "payment_method") == set(PaymentMethod.values)
    assert values(CartTransaction, "payment_status") == set(PaymentStatus.values)
    assert values(CartTransaction, "currency") == {"EUR", "CHF"}
    assert values(Proof, "status") == set(ProofStatus.values)
    assert {"owed", "done"} <= values(Refund, "status")
    assert set(Refund.objects.values_list("verified", flat=True)) == {True, False}
    assert CartItem.objects.filter(fee__gt=0, refund__status="owed").exists()
    assert values(Proof, "content_type") == {"image/png", "image/jpeg", "application/pdf"}

    run = run_checks(actor=Actor.system("test"), now=now)
    assert [(f.check_id, f.message, f.details) for f in run.findings] == []

    before = rows_and_trails()
    assert seed(now=now) == logins
    assert rows_and_trails() == before

    days_later = now + timedelta(days=2)
    seed(now=days_later)
    after = rows_and_trails()
    changed = {table for table in after if after[table] != before[table]}
    assert changed == {"bookings_slot", "bookings_historicalslot"}

    check_files()
    check_mail()
    check_languages()
    check_times()
    check_late()
    check_slots(now)
    check_schedules(now, last_seeded=days_later)


def check_times() -> None:
    """Some did not come, one of them was excused, and somebody was reminded."""
    assert Booking.objects.filter(status=BookingStatus.NO_SHOW, missed_at__isnull=False).exists()
    excused = Booking.objects.get(excused_at__isnull=False)
    assert excused.status == BookingStatus.CONFIRMED
    assert excused.organization.no_show_limit
    assert Reminder.objects.exists()


def check_late() -> None:
    """A proof waits longer than it should, and somebody paid for seats that are gone."""
    assert CartTransaction.objects.filter(status="under_review", escalations=1).count() == 1
    late = LatePayment.objects.get()
    assert (late.status, late.transaction.status) == ("open", "expired")
    assert "This slot is full." in late.reason


def check_files() -> None:
    """Every proof is a file that opens, and there is no file without a proof."""
    for proof in Proof.objects.all():
        with proof_storage().open(str(proof.file)) as file:
            content = file.read()
        assert len(content) == proof.size
        if proof.content_type == "application/pdf":
            document = pypdfium2.PdfDocument(content)
            assert len(document) == 1
            document.close()
        else:
            Image.open(io.BytesIO(content)).load()
    assert orphans(older_than_seconds=0) == []
    wrong = [
        p for p in Proof.objects.select_related("transaction") if p.amount != p.transaction.amount
    ]
    assert any(p.transaction.status == "under_review" for p in wrong)


def check_languages() -> None:
    """Whatever was mailed could have been mailed to a German: nothing of ours stays English."""
    mailed = [e for e in OutboxEvent.objects.all() if e.deliveries.exists() or e.recipients]
    assert len({event.kind for event in mailed}) > 12
    for event in mailed:
        assert english_in(event, language="de", time_zone="Europe/Berlin") == [], event.kind
        assert english_in(event, language="en"), event.kind


def check_mail() -> None:
    """One event of each kind is left to tell."""
    kinds = list(OutboxEvent.objects.filter(dispatched_at=None).values_list("kind", flat=True))
    assert sorted(kinds) == sorted(values(OutboxEvent, "kind"))
    assert 4 <= len(kinds) <= 24


def check_slots(now) -> None:
    """Slots lie on the wall clock of their place, and today's last one starts late."""
    for organization in Organization.objects.all():
        slots = Slot.objects.filter(resource__organization=organization)
        zone = ZoneInfo(organization.time_zone)
        starts = {s.astimezone(zone) for s in slots.values_list("starts_at", flat=True)}
        assert min(s.hour for s in starts) >= 7
        days = {s.date() for s in starts}
        today = now.astimezone(zone).date()
        assert min(days) <= today - timedelta(days=11)
        if organization.slug == "riverside-sports":
            assert {(s.hour, s.minute) for s in starts if s.date() == today} >= {(7, 0), (23, 30)}


def check_schedules(now, *, last_seeded) -> None:
    """There is one of each thing that schedules know, and nothing is left to regenerate."""
    court = Resource.objects.get(name="Court 1")
    versions = list(Schedule.objects.filter(resource=court).order_by("number"))
    assert len(versions) == 3
    assert versions[0].valid_from < versions[1].valid_from < now.date() < versions[2].valid_from
    assert values(ScheduleException, "kind") == {"closed", "holiday", "extra"}
    late = ScheduleRule.objects.filter(until_time__lt=F("from_time"), until_time__gt=time(0))
    assert late.exists()  # over midnight

    legacy = Slot.objects.get(status="legacy", starts_at__gt=now)
    assert legacy.taken_bookings == 1
    hall = Slot.objects.filter(resource__name="Hall", taken_bookings=1).get()
    assert len(hall.parts) == 2
    assert hall.occupancies.count() == 3
    doctors = Slot.objects.filter(resource__kind="person", taken_bookings=1)
    assert {len(s.picked) for s in doctors} == {1}
    waiting = Proposal.objects.get(status="open")
    assert waiting.booking.status == "reschedule_proposed"
    assert set(values(Proposal, "status")) == {"open", "accepted"}
    weekly = Series.objects.get()
    assert weekly.bookings.filter(status="confirmed").count() == weekly.times == 3
    free = Resource.objects.get(mode="free_times")
    assert free.needs_approval
    assert not Slot.objects.filter(resource=free).exists()

    for organization in Organization.objects.all():
        resources = list(Resource.objects.filter(organization=organization))
        changes = regenerating.preview(resources=resources, now=last_seeded).counts()
        assert {name: n for name, n in changes.items() if n and name != "keep"} == {}


def check_waitlist(now) -> None:
    """A full class with a line of six, and an offer that ends within the hour."""
    slot = Slot.objects.get(resource__name="Yoga", line_units__isnull=False)
    assert slot.taken_units == slot.max_units
    there = list(line_of(slot, now=now))
    load_positions(there, now=now)
    assert len(there) == 6
    assert len({e.units for e in there}) >= 4
    offered = [e for e in there if e.status == "offered"]
    assert len(offered) == 1
    assert [e.passed_over for e in there if e.passed_over] == [1]
    assert [e.slot_id for e in there].count(None) == 1
    assert values(WaitlistEntry, "status") >= {"waiting", "offered", "expired", "left", "closed"}

    urgent = Offer.objects.get(status="open", expires_at__lte=now + timedelta(hours=1))
    assert not urgent.entry.customer.email
    assert urgent.entry.customer.phone


def test_the_command_prints_who_can_sign_in(capsys, settings):
    settings.OUTBOX_KICK = False

    call_command("seed_demo")

    printed = capsys.readouterr().out
    assert "owner@riverside.example" in printed
    assert "holdfast-demo" in printed


def test_production_gets_no_demo(monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "config.settings.production")

    with pytest.raises(CommandError, match="production"):
        seed()

    assert not Organization.objects.exists()
    assert not User.objects.exists()
