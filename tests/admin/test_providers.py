"""Whom a resource takes, and who cannot provide it: said in plain words (D1, F3)."""

import pytest
from django.urls import reverse

from bookings.models import Resource
from tests import factories as f
from tests.admin.conftest import as_role
from tests.admin.test_forms import change, resource_form

pytestmark = pytest.mark.django_db


@pytest.fixture
def lena(venue):
    """Somebody who is booked for something else while people are in the venue's slot."""
    made = f.MembershipFactory(
        organization=venue.organization, role="provider", user__name="Dr Lena"
    ).user
    video = f.ResourceFactory(organization=venue.organization, name="Video", provider=made)
    slot = f.make_slot(video, starts_at=venue.slot.starts_at)
    f.hold(f.CustomerFactory(organization=venue.organization), slot)
    return made


def test_the_form_says_in_which_slot_somebody_would_be_in_two_places(venue, lena):
    client = as_role(venue, "owner")
    sent = resource_form(venue.resource, provider=str(lena.pk))

    response = client.post(change(venue.resource), sent)

    assert response.status_code == 200
    text = response.content.decode()
    assert "In 1 slots with people Dr Lena is booked for something else at that time" in text
    assert str(venue.slot) in text
    assert Resource.objects.get(pk=venue.resource.pk).provider is None


def test_a_resource_names_whom_it_takes_and_what_else_they_give(venue, lena):
    free = f.ResourceFactory(organization=venue.organization, name="Home visit")
    client = as_role(venue, "owner")
    sent = resource_form(free, provider=str(lena.pk))

    assert client.post(change(free), sent).status_code == 302

    panel = client.get(change(free)).content.decode()
    assert "Takes the time of" in panel
    assert "Not while they give" in panel
    video = Resource.objects.get(name="Video")
    assert reverse("admin:bookings_resource_change", args=[video.pk]) in panel
