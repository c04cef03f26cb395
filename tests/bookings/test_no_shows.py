"""Who did not come: by the clock, by staff, excused, and what follows (F3, B10, D7)."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.errors import Forbidden, Invalid, NotFound
from audit.models import OutboxEvent
from bookings import locks, rules, tasks
from bookings.errors import BookingOver, NotStarted, TooManyNoShows
from bookings.models import Booking, Organization
from bookings.services import check_in, no_shows
from config.celery import CELERY_BEAT_SCHEDULE
from payments.errors import AlreadyDecided
from payments.models import CartTransaction
from payments.services import cancellation, carts, checkout, decisions, desk
from tests import factories as f
from tests.concurrency import interleave, locks_off, race, without
from tests.corruption import corrupt
from tests.faults import other_session, raising, striking
from tests.invariants import assert_consistent, everything, refusal

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def confirmed(slot=None, customer=None):
    slot = slot or f.make_slot(max_bookings=3)
    customer = customer or f.CustomerFactory(organization=slot.organization)
    made = checkout.book(
        organization=customer.organization,
        customer=customer,
        slot_id=slot.pk,
        units=1,
        payment_method="free",
        actor=f.actor_of(customer),
        now=timezone.now(),
    )
    return Booking.objects.get(cart_item__transaction=made)


def in_organization(**fields):
    return f.ResourceFactory(organization=f.OrganizationFactory(**fields))


def sweep(now, **kwargs):
    return no_shows.mark_no_shows(actor=f.SYSTEM, now=now, **kwargs)


def miss(*rows, now=None, actor=f.SYSTEM, **kwargs):
    return no_shows.miss(
        booking_ids=[b.pk for b in rows],
        organization_ids=kwargs.pop("organization_ids", None),
        actor=actor,
        now=now or rows[0].slot.ends_at,
        **kwargs,
    )


def excuse(*rows, now=None, actor=f.SYSTEM, reason="was here", **kwargs):
    return no_shows.excuse(
        booking_ids=[b.pk for b in rows],
        organization_ids=kwargs.pop("organization_ids", None),
        actor=actor,
        reason=reason,
        now=now or rows[0].slot.ends_at,
        **kwargs,
    )


def status(booking):
    return Booking.objects.get(pk=booking.pk).status


def told(kind):
    return OutboxEvent.objects.filter(kind=kind)


# By the clock


def test_an_hour_after_the_end_who_did_not_come_is_a_no_show():
    booking = confirmed()
    then = booking.slot.ends_at + HOUR

    assert sweep(then - SECOND) == 0
    assert sweep(then) == 1

    booking.refresh_from_db()
    assert (booking.status, booking.missed_at) == ("no_show", then)
    (mail,) = told("booking.missed")
    assert mail.recipients[0]["address"] == booking.customer.email
    line = Booking.history.filter(id=booking.pk).latest("history_id")
    assert (line.actor_kind, line.history_change_reason) == ("system", "Nobody came.")
    assert_consistent()


def test_the_item_and_the_order_stay_as_they_are():
    booking = confirmed()

    sweep(booking.slot.ends_at + HOUR)

    assert booking.cart_item.status == "approved"
    assert CartTransaction.objects.get().status == "approved"


@pytest.mark.parametrize("minutes", [0, 15, 600, 1_440])
def test_the_organisation_says_how_long_after_the_end(minutes):
    booking = confirmed(f.make_slot(in_organization(no_show_minutes=minutes)))
    then = booking.slot.ends_at + minutes * MINUTE

    assert [sweep(then - SECOND), sweep(then)] == [0, 1]


def test_where_it_says_nothing_nobody_is_marked_by_the_clock():
    booking = confirmed(f.make_slot(in_organization(no_show_minutes=None)))
    before = everything()

    assert sweep(booking.slot.ends_at + 40 * HOUR) == 0

    assert everything() == before


def test_each_organisation_has_its_own_time():
    early = confirmed(f.make_slot(in_organization(no_show_minutes=10)))
    late = confirmed(f.make_slot(in_organization(no_show_minutes=100)))

    assert sweep(early.slot.ends_at + 11 * MINUTE) == 1

    assert (status(early), status(late)) == ("no_show", "confirmed")


def test_what_was_missed_days_ago_is_left_to_the_staff():
    """Who switches this on does not tell people what they missed last year."""
    booking = confirmed()

    assert sweep(booking.slot.ends_at + no_shows.LOOKS_BACK) == 0

    assert miss(booking).done


def test_who_came_is_no_no_show():
    slot = f.make_slot(max_bookings=3)
    came, missed = confirmed(slot), confirmed(slot)
    check_in.check_in_by_hand(
        booking_id=came.pk,
        organization_id=came.organization_id,
        actor=f.SYSTEM,
        now=slot.starts_at,
    )

    assert sweep(slot.ends_at + HOUR) == 1

    assert (status(came), status(missed)) == ("checked_in", "no_show")


@pytest.mark.parametrize("other", ["pending", "cancelled"])
def test_nor_is_who_never_had_to_come(other):
    resource = f.ResourceFactory()
    f.PriceFactory(resource=resource)
    order = f.check_out(
        f.CustomerFactory(organization=resource.organization), f.make_slot(resource)
    )
    if other == "cancelled":
        decisions.cancel(
            transaction_id=order.pk,
            organization_id=order.organization_id,
            actor=f.SYSTEM,
            reason="ill",
            now=timezone.now(),
        )

    assert sweep(Booking.objects.get().slot.ends_at + HOUR) == 0
    assert Booking.objects.get().status == other


def test_a_second_sweep_finds_nothing_to_do_and_tells_nobody_twice():
    booking = confirmed()
    then = booking.slot.ends_at + HOUR
    sweep(then)
    before = everything()

    assert sweep(then + HOUR) == 0

    assert everything() == before


def test_any_number_costs_the_same_number_of_statements():
    counts = []
    for number in (1, 12):
        made = [confirmed() for _ in range(number)]
        then = max(b.slot.ends_at for b in made) + HOUR
        with CaptureQueriesContext(connection) as captured:
            assert sweep(then) == number
        counts.append(len(captured))

    assert counts[0] == counts[1]


def test_one_that_cannot_be_marked_does_not_keep_the_others():
    made = [confirmed() for _ in range(3)]
    corrupt(
        "UPDATE bookings_slot SET taken_bookings = 0, taken_units = 0 WHERE id = %s",
        [made[1].slot_id],
    )
    failed: dict[Any, str] = {}

    assert sweep(max(b.slot.ends_at for b in made) + HOUR, failed=failed) == 2

    assert [status(b) for b in made] == ["no_show", "confirmed", "no_show"]
    assert failed == {made[1].pk: "IntegrityError"}


def test_a_database_in_trouble_blames_nobody():
    made = confirmed()
    failed: dict[Any, str] = {}

    with refusal(OperationalError), striking(5, raising(OperationalError("the database is ill"))):
        sweep(made.slot.ends_at + HOUR, failed=failed)

    assert failed == {}


def test_it_runs_every_fifteen_minutes():
    entry = CELERY_BEAT_SCHEDULE["mark-no-shows"]

    assert entry["task"] == tasks.mark_no_shows.name
    assert entry["schedule"] == entry["options"]["expire_seconds"] == 900
    assert tasks.mark_no_shows() == 0


# By staff


def test_staff_mark_somebody_from_the_start_on():
    booking = confirmed()
    staff = f.MembershipFactory(organization=booking.organization, role="front_desk")
    start = booking.slot.starts_at

    early = miss(booking, now=start - SECOND, actor=f.actor_of(staff))
    assert early.done == []
    assert isinstance(early.refused[booking.reference], NotStarted)
    assert status(booking) == "confirmed"

    assert miss(booking, now=start, actor=f.actor_of(staff), reason="waited").done == [booking]
    line = Booking.history.filter(id=booking.pk).latest("history_id")
    assert (line.actor_id, line.history_change_reason) == (staff.user_id, "waited")
    assert told("booking.missed").count() == 1
    assert_consistent()


def test_of_several_those_that_can_be_marked_are_and_the_others_are_named():
    slot = f.make_slot(max_bookings=3)
    one, two, gone = confirmed(slot), confirmed(slot), confirmed(slot)
    cancellation.cancel_booking(
        booking_id=gone.pk,
        organization_id=gone.organization_id,
        actor=f.SYSTEM,
        reason="ill",
        now=timezone.now(),
    )

    outcome = miss(one, two, gone)

    assert {b.pk for b in outcome.done} == {one.pk, two.pk}
    assert [(k, type(e)) for k, e in outcome.refused.items()] == [(gone.reference, BookingOver)]
    assert_consistent()


def test_many_cost_as_many_statements_as_one():
    counts = []
    for number in (1, 12):
        made = [confirmed() for _ in range(number)]
        then = max(b.slot.ends_at for b in made)
        for act in (miss, excuse):
            with CaptureQueriesContext(connection) as captured:
                assert len(act(*made, now=then).done) == number
            counts.append(len(captured))

    assert counts[:2] == counts[2:]


@pytest.mark.parametrize("act", [miss, excuse])
def test_another_organisation_s_booking_does_not_exist(act):
    booking = confirmed()

    with refusal(NotFound):
        act(booking, organization_ids={f.OrganizationFactory().pk})


# Excused


def test_who_is_excused_is_confirmed_again_and_no_sweep_marks_them_again():
    booking = confirmed()
    then = booking.slot.ends_at + HOUR
    sweep(then)

    assert excuse(booking, now=then + MINUTE).done == [booking]

    booking.refresh_from_db()
    assert (booking.status, booking.missed_at) == ("confirmed", None)
    assert booking.excused_at == then + MINUTE
    assert told("booking.excused").count() == 1
    assert sweep(then + 2 * HOUR) == 0
    assert status(booking) == "confirmed"
    assert_consistent()


def test_staff_can_mark_again_whom_they_excused_by_mistake():
    booking = confirmed()
    miss(booking)
    excuse(booking)

    assert miss(booking).done

    booking.refresh_from_db()
    assert (booking.status, booking.excused_at) == ("no_show", None)


def test_an_excuse_has_a_reason():
    booking = confirmed()
    miss(booking)

    with refusal(Invalid, "Say why"):
        excuse(booking, reason="  ")


def test_what_is_no_no_show_is_not_excused():
    booking = confirmed()
    before = everything()

    assert isinstance(excuse(booking).refused[booking.reference], BookingOver)

    assert everything() == before


def test_staff_do_not_excuse_themselves():
    slot = f.make_slot()
    member = f.MembershipFactory(organization=slot.organization)
    mine = f.CustomerFactory(organization=slot.organization, user=member.user)
    booking = confirmed(slot, mine)
    miss(booking)

    outcome = excuse(booking, actor=f.actor_of(member))

    assert isinstance(outcome.refused[booking.reference], Forbidden)
    assert status(booking) == "no_show"


def test_who_came_late_is_excused_and_checked_in():
    booking = confirmed()
    start = booking.slot.starts_at
    miss(booking, now=start)
    excuse(booking, now=start + MINUTE)

    came = check_in.check_in_by_hand(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=f.SYSTEM,
        now=start + 2 * MINUTE,
    )

    assert came.status == "checked_in"
    assert_consistent()


def test_a_doctor_whose_time_was_given_to_somebody_else_is_not_taken_twice():
    doctor = f.ResourceFactory(exclusive=True)
    start = f.soon()
    slot = f.make_slot(doctor, starts_at=start)
    later = f.make_slot(doctor, starts_at=start + 30 * MINUTE)
    booking = confirmed(slot)
    miss(booking, now=start)
    confirmed(later)

    with refusal(Exception, "bookings_occupancy_never_overlaps"):
        excuse(booking, now=start + 31 * MINUTE)


# Too many of them


def missing(customer, times):
    for _ in range(times):
        miss(
            confirmed(f.make_slot(f.ResourceFactory(organization=customer.organization)), customer)
        )


@pytest.fixture
def strict():
    organization = f.OrganizationFactory(no_show_limit=2)
    return f.CustomerFactory(organization=organization)


def a_slot(customer):
    return f.make_slot(f.ResourceFactory(organization=customer.organization))


def test_up_to_the_limit_customers_book_themselves_and_then_no_more(strict):
    missing(strict, 1)
    f.hold(strict, a_slot(strict))
    missing(strict, 0)
    one_more = confirmed(a_slot(strict), strict)
    miss(one_more)

    with refusal(TooManyNoShows, "2 bookings were missed within 365 days") as caught:
        f.hold(strict, a_slot(strict))
    assert caught.value.extra == {"no_shows": 2, "limit": 2}
    with refusal(TooManyNoShows):
        confirmed(a_slot(strict), strict)

    excuse(one_more)
    assert f.hold(strict, a_slot(strict)).status == "held"


def test_old_ones_do_not_count(strict):
    missing(strict, 2)
    now = timezone.now()
    later = now + timedelta(days=370)

    assert rules.count_no_shows(strict, now=now) == 2
    assert rules.count_no_shows(strict, now=later) == 0
    rules.check_no_shows(strict, now=later)


def test_those_of_others_do_not_count(strict):
    missing(f.CustomerFactory(organization=strict.organization), 2)

    assert f.hold(strict, a_slot(strict))


def test_staff_book_for_them_with_a_reason(strict):
    missing(strict, 2)
    slot = a_slot(strict)
    staff = f.MembershipFactory(organization=strict.organization, role="front_desk")

    def book_for(**kwargs):
        return desk.book_for(
            organization=strict.organization,
            customer=strict,
            slot_id=slot.pk,
            units=1,
            payment_method="free",
            actor=f.actor_of(staff),
            now=timezone.now(),
            **kwargs,
        )

    with refusal(TooManyNoShows):
        book_for()
    assert book_for(overriding="promised to come").status == "approved"


def test_what_is_in_the_cart_can_still_be_checked_out(strict):
    f.hold(strict, a_slot(strict))
    missing(strict, 2)

    made = checkout.check_out(
        organization=strict.organization,
        customer=strict,
        payment_method="free",
        actor=f.actor_of(strict),
        now=timezone.now(),
    )

    assert made.pk
    assert carts.empty(customer=strict, actor=f.SYSTEM, now=timezone.now()) == 0


def test_without_a_limit_nothing_is_counted(django_assert_num_queries):
    customer = f.CustomerFactory()

    with django_assert_num_queries(0):
        rules.check_no_shows(customer, now=timezone.now())


def test_counting_reads_an_index_of_no_shows_alone():
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'bookings_no_shows'")
        (definition,) = cursor.fetchone()

    assert "(customer_id)" in definition
    assert "'no_show'" in definition


def test_a_new_organisation_marks_after_an_hour_and_sets_no_limit():
    made = Organization.objects.create(name="x", slug="x")

    assert (made.no_show_minutes, made.no_show_limit, made.no_show_days) == (60, None, 365)


# Races and failures

AT_ONCE = pytest.mark.django_db(transaction=True)
MOVES = "bookings_booking.follow_lifecycle"


def checking_in(booking):
    return lambda: check_in.check_in_by_hand(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=f.SYSTEM,
        now=booking.slot.starts_at,
    )


@AT_ONCE
def test_who_is_checked_in_while_the_sweep_comes_is_either_there_or_a_no_show():
    for _ in range(3):
        booking = confirmed()
        then = booking.slot.ends_at + HOUR

        marked, came = race(lambda: sweep(then), checking_in(booking))  # noqa: B023

        assert status(booking) == ("no_show" if marked else "checked_in")
        assert isinstance(came, Exception) == bool(marked)
        assert_consistent()


@AT_ONCE
def test_a_check_in_waits_for_the_sweep_and_is_told():
    booking = confirmed()

    first, second = interleave(
        lambda: sweep(booking.slot.ends_at + HOUR),
        after=(locks, "slots_not_passed"),
        second=checking_in(booking),
    )

    # Whoever was faster to the booking: the scanner here, whom the sweep then finds inside.
    assert (first, second.status) == (0, "checked_in")
    assert_consistent()

    other = confirmed()
    first, second = interleave(
        lambda: sweep(other.slot.ends_at + HOUR),
        after=(locks, "bookings_where"),
        second=checking_in(other),
    )
    assert first == 1
    assert second.code == "not_confirmed"


@AT_ONCE
def test_without_locks_the_lifecycle_refuses_that_who_was_checked_in_is_a_no_show():
    booking = confirmed()

    with locks_off():
        first, second = interleave(
            lambda: sweep(booking.slot.ends_at + HOUR),
            after=(locks, "bookings_where"),
            second=checking_in(booking),
        )

    assert (first, second.status, status(booking)) == (0, "checked_in", "checked_in")
    assert told("booking.missed").count() == 0


@AT_ONCE
def test_control_without_locks_and_triggers_who_came_is_a_no_show():
    with without(MOVES), locks_off():
        booking = confirmed()
        first, second = interleave(
            lambda: sweep(booking.slot.ends_at + HOUR),
            after=(locks, "bookings_where"),
            second=checking_in(booking),
        )

        assert (first, second.status, status(booking)) == (1, "checked_in", "no_show")


@AT_ONCE
def test_two_sweeps_at_once_mark_and_tell_once():
    made = [confirmed() for _ in range(6)]
    then = max(b.slot.ends_at for b in made) + HOUR

    outcomes = race(*[lambda: sweep(then)] * 4)

    assert sum(outcomes) == 6
    assert told("booking.missed").count() == 6
    assert_consistent()


@AT_ONCE
def test_two_colleagues_excuse_at_once_and_one_of_them_did():
    booking = confirmed()
    miss(booking)

    outcomes = race(lambda: excuse(booking), lambda: excuse(booking))

    assert sorted(len(o.done) for o in outcomes) == [0, 1]
    assert told("booking.excused").count() == 1
    assert_consistent()


@AT_ONCE
def test_a_slot_that_somebody_holds_does_not_keep_the_others():
    held, free = confirmed(), confirmed()
    passed: set = set()
    then = max(held.slot.ends_at, free.slot.ends_at) + HOUR

    with other_session(autocommit=False) as session:
        session.execute(
            "SELECT 1 FROM bookings_slot WHERE id = %s FOR NO KEY UPDATE", [held.slot_id]
        )
        counts = [sweep(then, batch=1, passed=passed) for _ in range(3)]

    assert sum(counts) == 1
    assert passed == {held.slot_id}
    assert status(free) == "no_show"


@AT_ONCE
@pytest.mark.parametrize("act", [miss, excuse])
def test_a_failure_at_any_statement_leaves_everything_as_it_was(act):
    booking = confirmed()
    if act is excuse:
        miss(booking)
    before = everything()

    for number in range(1, 40):
        with striking(number, raising(RuntimeError("a bug"))) as injector:
            try:
                act(booking)
            except RuntimeError:
                found = everything()
                found["audit_outboxevent"] = [
                    e for e in found["audit_outboxevent"] if "operation.failed" not in e
                ]
                assert found == before, f"after a failure at {injector.statements[-1]}"
        if not injector.struck:
            break

    assert number > 5
    assert not injector.struck
    assert_consistent()


def test_an_order_with_a_no_show_in_it_is_not_cancelled_as_a_whole():
    booking = confirmed()
    miss(booking)

    with refusal((BookingOver, AlreadyDecided)):
        decisions.cancel(
            transaction_id=booking.cart_item.transaction_id,
            organization_id=booking.organization_id,
            actor=f.SYSTEM,
            reason="ill",
            now=timezone.now(),
        )
