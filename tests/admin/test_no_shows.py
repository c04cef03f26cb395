"""Staff mark who did not come, one and many, and take it back (F1, F3)."""

import pytest
from django.urls import reverse

from audit.models import OutboxEvent
from bookings.models import Booking, Organization
from tests import factories as f
from tests.admin.conftest import as_role
from tests.corruption import corrupt

pytestmark = pytest.mark.django_db

LIST = reverse("admin:bookings_booking_changelist")


def begin(*rows):
    """Their slots began a moment ago."""
    corrupt(
        "UPDATE bookings_slot SET starts_at = now() - interval '5 min', busy_from = now()"
        " - interval '5 min' WHERE id = ANY(%s)",
        [[b.slot_id for b in rows]],
    )


@pytest.fixture
def booking(venue):
    f.approve(venue.transaction)
    begin(venue.booking)
    return Booking.objects.get(pk=venue.booking.pk)


def press(client, name, booking, reason=""):
    return client.post(
        reverse(f"admin:bookings_booking_{name}_this", args=[booking.pk]),
        {"_form_submitted": "on", "reason": reason},
        follow=True,
    )


def choose(client, name, *rows, reason=None):
    data = {"action": f"{name}_chosen", "_selected_action": [b.pk for b in rows]}
    if reason is not None:
        data |= {"confirmed": "yes", "reason": reason}
    return client.post(LIST, data, follow=True)


def page(client, row):
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return client.get(reverse(name, args=[row.pk])).content.decode()


def status(booking):
    return Booking.objects.get(pk=booking.pk).status


def test_the_front_desk_marks_somebody_and_takes_it_back_with_a_reason(venue, booking):
    client = as_role(venue, "front_desk")
    assert "Did not come" in page(client, booking)

    response = press(client, "miss", booking)

    assert "marked as a no-show" in response.content.decode()
    assert status(booking) == "no_show"
    assert "Excuse" in page(client, booking)
    assert "1 in 365 days" in page(client, booking.customer)

    press(client, "excuse", booking)
    assert status(booking) == "no_show", "an excuse needs a reason"

    press(client, "excuse", booking, "was at the wrong door")
    assert status(booking) == "confirmed"
    assert "0 in 365 days" in page(client, booking.customer)
    line = Booking.history.filter(id=booking.pk).latest("history_id")
    assert line.history_change_reason == "was at the wrong door"


def test_before_the_start_there_is_nothing_to_press(venue):
    f.approve(venue.transaction)
    client = as_role(venue, "front_desk")

    assert "Did not come" not in page(client, venue.booking)
    assert press(client, "miss", venue.booking).status_code in (403, 404)
    assert status(venue.booking) == "confirmed"


@pytest.mark.parametrize(
    ("role", "may_miss", "may_excuse"),
    [
        ("owner", True, True),
        ("manager", True, True),
        ("front_desk", True, True),
        ("reviewer", False, True),
        ("provider", False, False),  # of another resource
    ],
)
def test_who_may(venue, booking, role, may_miss, may_excuse):
    client = as_role(venue, role)

    press(client, "miss", booking)
    assert (status(booking) == "no_show") == may_miss
    if not may_miss:
        press(as_role(venue, "manager"), "miss", booking)
    press(client, "excuse", booking, "was here")
    assert (status(booking) == "confirmed") == may_excuse


def test_many_are_marked_after_a_question_and_the_others_are_named(venue, booking):
    client = as_role(venue, "manager")
    customer = f.CustomerFactory(organization=venue.organization)
    pending = Booking.objects.get(pk=f.hold(customer, f.make_slot(venue.resource)).pk)

    asked = choose(client, "miss", booking, pending)
    assert "Those that are confirmed and have started" in asked.content.decode()
    assert status(booking) == "confirmed"

    done = choose(client, "miss", booking, pending, reason="").content.decode()
    assert "1 booking is marked as a no-show." in done
    assert f"Booking {pending.reference} is held." in done
    assert (status(booking), status(pending)) == ("no_show", "held")

    done = choose(client, "excuse", booking, pending, reason="the door was locked").content
    assert "1 booking does not count as missed any more." in done.decode()
    assert status(booking) == "confirmed"
    assert OutboxEvent.objects.filter(kind="booking.excused").count() == 1


def test_actions_pass_over_another_organisation_s_bookings(venue, foreign, booking):
    f.approve(foreign.transaction)
    begin(foreign.booking)

    choose(as_role(venue, "manager"), "miss", booking, foreign.booking, reason="")

    assert (status(booking), status(foreign.booking)) == ("no_show", "confirmed")


def test_at_the_limit_the_customer_s_page_says_so(venue, booking):
    Organization.objects.filter(pk=venue.organization.pk).update(no_show_limit=1)
    client = as_role(venue, "manager")
    press(client, "miss", booking)

    assert "1 in 365 days: cannot book without the staff" in page(client, booking.customer)


def test_the_door_sees_how_often_somebody_did_not_come(venue, booking):
    desk = as_role(venue, "front_desk")

    def scan():
        return desk.post(
            reverse("admin:check_in"), {"code": booking.reference}, follow=True
        ).content.decode()

    assert "Did not come" not in scan()
    press(desk, "miss", booking)

    assert "Did not come 1 time before." in scan()


def test_who_chooses_nothing_of_their_own_changes_nothing(venue, foreign):
    begin(foreign.booking)

    response = choose(as_role(venue, "manager"), "miss", foreign.booking, reason="")

    assert response.status_code == 200
    assert status(foreign.booking) == "pending"
