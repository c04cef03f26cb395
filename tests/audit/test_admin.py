"""What staff see of the record, and that it is only their own (B8, B9, F1, F3, security 3)."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.conf import settings as project
from django.contrib import admin
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path, reverse
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.sites import UnfoldAdminSite

from audit.admin import TimelineMixin
from audit.consistency.runner import run_checks
from audit.context import Actor, Origin, audited, origin
from audit.delivery import relay
from audit.models import ConsistencyReport, Delivery, Finding, OutboxEvent
from bookings.models import Resource
from tests.audit.conftest import Recorder, tell
from tests.factories import MembershipFactory, OrganizationFactory, ResourceFactory, UserFactory


class ResourceTimelineAdmin(TimelineMixin, ModelAdmin):
    """An admin of one organisation's resources, as the apps make them."""

    only: Any = None

    def get_queryset(self, request: Any) -> Any:
        queryset = super().get_queryset(request)
        return queryset.filter(organization=self.only) if self.only else queryset


site = UnfoldAdminSite(name="timelines")
resources = ResourceTimelineAdmin(Resource, site)
site._registry[Resource] = resources
urlpatterns = [path("admin/", admin.site.urls), path("timelines/", site.urls)]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture(autouse=True)
def _all_resources() -> None:
    resources.only = None


@pytest.fixture
def chief(client: Client) -> Client:
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def sign_in(role: str) -> tuple[Client, Any]:
    membership = MembershipFactory(role=role)
    client = Client()
    client.force_login(membership.user)
    return client, membership.organization


def delivery_for(organization: Any, address: str) -> Delivery:
    tell(address, organization_id=organization.pk)
    relay.dispatch([Recorder()])
    Delivery.objects.filter(address=address).update(
        organization_id=organization.pk, status="dead", attempts=12, last_error="550 5.1.1"
    )
    return Delivery.objects.get(address=address)


def page(client: Client, name: str, *args: Any, status: int = 200, query: str = "") -> str:
    response = client.get(reverse(f"admin:{name}", args=args) + query)
    assert response.status_code == status, response.status_code
    return unescape(response.content.decode())


def test_deliveries_show_their_state_and_error(chief: Client) -> None:
    delivery = delivery_for(OrganizationFactory(), "ana@example.com")
    listed = page(chief, "audit_delivery_changelist")
    assert "ana@example.com" in listed
    assert "550 5.1.1" in listed
    assert "given up" in listed
    shown = page(chief, "audit_delivery_change", delivery.pk)
    assert "12 of 12" in shown
    assert "<iframe sandbox" in shown
    assert "Your booking was cancelled" in shown


def test_a_preview_cannot_break_out_of_its_frame(chief: Client) -> None:
    attack = '"></iframe><script>alert(1)</script>'
    event = tell("ana@example.com", customer=attack, booking={"resource": attack})
    relay.dispatch([Recorder()])
    delivery = Delivery.objects.get(event=event)
    shown = chief.get(reverse("admin:audit_delivery_change", args=[delivery.pk])).content.decode()
    frame = re.search(r'<iframe sandbox="" srcdoc="([^"]*)" title="([^"]*)" style=', shown)
    assert frame
    assert frame[1].startswith("&lt;!doctype html&gt;")
    assert "<script>alert(1)" not in shown
    assert "<" not in frame[1] + frame[2]


def test_a_list_of_deliveries_costs_the_same_for_any_number(
    chief: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        delivery_for(OrganizationFactory(), f"person{number}@example.com")
    with django_assert_max_num_queries(8):
        page(chief, "audit_delivery_changelist")


def test_deliveries_can_be_searched_and_filtered(chief: Client) -> None:
    delivery_for(OrganizationFactory(), "ana@example.com")
    delivery_for(OrganizationFactory(), "bo@example.com")
    found = page(chief, "audit_delivery_changelist", query="?q=ana@")
    assert "ana@example.com" in found
    assert "bo@example.com" not in found
    for query in ("?status__exact=dead", "?channel=email", "?channel=nonsense"):
        page(chief, "audit_delivery_changelist", query=query)


def test_selected_deliveries_are_resent(chief: Client) -> None:
    delivery = delivery_for(OrganizationFactory(), "ana@example.com")
    response = chief.post(
        reverse("admin:audit_delivery_changelist"),
        {"action": "resend_selected", "_selected_action": [str(delivery.pk)]},
        follow=True,
    )
    assert "1 message is queued again." in response.content.decode()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts) == ("queued", 0)


def test_opening_the_resend_dialog_changes_nothing_and_sending_it_does(chief: Client) -> None:
    delivery = delivery_for(OrganizationFactory(), "ana@example.com")
    url = reverse("admin:audit_delivery_resend_this", args=[delivery.pk])
    assert chief.get(url).status_code == 200
    delivery.refresh_from_db()
    assert delivery.status == "dead"
    chief.post(url, {"_form_submitted": "on"})
    delivery.refresh_from_db()
    assert delivery.status == "queued"


def test_staff_see_only_what_their_organisation_told() -> None:
    client, organization = sign_in("owner")
    mine = delivery_for(organization, "mine@example.com")
    other = delivery_for(OrganizationFactory(), "other@example.com")
    listed = page(client, "audit_delivery_changelist")
    assert "mine@example.com" in listed
    assert "other@example.com" not in listed
    page(client, "audit_delivery_change", mine.pk)
    page(client, "audit_delivery_change", other.pk, status=302)
    assert "other" not in page(client, "audit_outboxevent_changelist")
    event_url = reverse("admin:audit_outboxevent_change", args=[other.event_id])
    assert client.get(event_url).status_code == 302


def test_staff_cannot_resend_what_another_organisation_told() -> None:
    client, organization = sign_in("owner")
    delivery_for(organization, "mine@example.com")
    other = delivery_for(OrganizationFactory(), "other@example.com")
    client.post(
        reverse("admin:audit_delivery_changelist"),
        {"action": "resend_selected", "_selected_action": [str(other.pk)]},
    )
    for name in ("resend_this", "cancel_this"):
        url = reverse(f"admin:audit_delivery_{name}", args=[other.pk])
        assert client.post(url, {"_form_submitted": "on"}).status_code == 404
    other.refresh_from_db()
    assert other.status == "dead"


def test_a_role_in_one_organisation_says_nothing_about_another() -> None:
    client, organization = sign_in("owner")
    elsewhere = MembershipFactory(
        user=organization.memberships.get().user, role="provider"
    ).organization
    other = delivery_for(elsewhere, "other@example.com")
    assert "other@example.com" not in page(client, "audit_delivery_changelist")
    url = reverse("admin:audit_delivery_resend_this", args=[other.pk])
    assert client.post(url, {"_form_submitted": "on"}).status_code == 404


def test_roles_without_the_permission_see_nothing() -> None:
    client, organization = sign_in("provider")
    delivery_for(organization, "mine@example.com")
    for model in ("delivery", "outboxevent", "finding", "consistencyreport"):
        page(client, f"audit_{model}_changelist", status=403)


@pytest.mark.parametrize("model", ["delivery", "outboxevent", "finding", "consistencyreport"])
def test_nobody_adds_edits_or_deletes_a_record(chief: Client, model: str) -> None:
    tell("a@example.com")
    relay.dispatch([Recorder()])
    report = run_checks(actor=Actor.system(), now=timezone.now()).report
    Finding.objects.create(report=report, check_id="x.y", severity="error", message="m")
    rows = {
        "delivery": Delivery,
        "outboxevent": OutboxEvent,
        "finding": Finding,
        "consistencyreport": ConsistencyReport,
    }[model].objects.all()  # type: ignore[attr-defined]
    page(chief, f"audit_{model}_add", status=403)
    page(chief, f"audit_{model}_delete", rows[0].pk, status=403)
    url = reverse(f"admin:audit_{model}_change", args=[rows[0].pk])
    assert chief.post(url, {"status": "delivered"}).status_code == 403


def test_an_event_shows_its_payload_and_its_deliveries(chief: Client) -> None:
    event = tell("ana@example.com", reason="It rains")
    assert "waiting" in page(chief, "audit_outboxevent_changelist")
    relay.run(channels=[Recorder()])
    shown = page(chief, "audit_outboxevent_change", event.pk)
    assert "It rains" in shown
    assert "ana@example.com" in shown


def test_a_report_leads_to_its_findings(chief: Client) -> None:
    event = tell("ana@example.com")
    OutboxEvent.objects.filter(pk=event.pk).update(created_at=timezone.now() - timedelta(hours=1))
    report = run_checks(actor=Actor.system("daily"), now=timezone.now()).report
    assert "daily" in page(chief, "audit_consistencyreport_changelist")
    shown = page(chief, "audit_consistencyreport_change", report.pk)
    link = re.search(r'href="(/admin/audit/finding/\?report=[^"]+)"', shown)
    assert link
    findings = unescape(chief.get(link[1]).content.decode())
    assert "was not handed out yet" in findings
    finding = Finding.objects.get()
    assert "no worker runs the relay" in page(chief, "audit_finding_change", finding.pk)
    page(chief, "audit_finding_changelist", query="?report=nonsense")


def test_findings_of_others_and_of_nobody_are_hidden() -> None:
    client, organization = sign_in("manager")
    report = run_checks(actor=Actor.system(), now=timezone.now()).report
    for message, owner in (
        ("mine is wrong", organization.pk),
        ("theirs is wrong", uuid.uuid4()),
        ("nobodys is wrong", None),
    ):
        Finding.objects.create(
            report=report,
            check_id="x.y",
            severity="error",
            message=message,
            organization_id=owner,
        )
    listed = page(client, "audit_finding_changelist")
    assert "mine is wrong" in listed
    assert "theirs is wrong" not in listed
    assert "nobodys is wrong" not in listed
    page(client, "audit_consistencyreport_change", report.pk, status=302)


def test_checks_can_be_asked_for(chief: Client) -> None:
    queue = cache._cache.get_client()  # type: ignore[attr-defined]
    queue.delete(project.CELERY_TASK_DEFAULT_QUEUE)
    url = reverse("admin:audit_consistencyreport_check_now")
    assert chief.get(url).status_code == 200
    assert queue.llen(project.CELERY_TASK_DEFAULT_QUEUE) == 0
    response = chief.post(url, {"_form_submitted": "on"}, headers={"HX-Request": "true"})
    assert response["HX-Redirect"] == reverse("admin:audit_consistencyreport_changelist")
    assert queue.llen(project.CELERY_TASK_DEFAULT_QUEUE) == 1
    queue.delete(project.CELERY_TASK_DEFAULT_QUEUE)


# Timelines.


def history(client: Client, resource: Resource, *, status: int = 200, query: str = "") -> str:
    url = reverse("timelines:bookings_resource_history", args=[resource.pk])
    response = client.get(url + query)
    assert response.status_code == status
    return unescape(response.content.decode())


def text_of(html: str) -> str:
    body = html[html.index('id="timeline"') :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def change(resource: Resource, label: str = "Ana", reason: str = "", **changes: Any) -> None:
    where = Origin(request_id="request-42", ip="203.0.113.7", user_agent="a browser")
    actor = Actor("staff", uuid.uuid4(), label)
    with origin(where), transaction.atomic(), audited(actor, reason=reason):
        for name, value in changes.items():
            setattr(resource, name, value)
        resource.save()


def test_a_timeline_says_who_changed_what_when_from_where_and_why(chief: Client) -> None:
    resource = ResourceFactory(name="Court")
    change(resource, reason="It was rebuilt.", name="Hall", kind="person", exclusive=True)
    text = text_of(history(chief, resource))
    assert text.index("Changed") < text.index("Created")
    assert "Ana staff" in text
    assert "It was rebuilt." in text
    assert "Name Court arrow_forward Hall" in text
    assert "Kind place arrow_forward person" in text
    assert "Exclusive no arrow_forward yes" in text
    assert "from 203.0.113.7" in text
    assert "request request-42" in text


def test_a_timeline_names_what_a_row_points_at(chief: Client) -> None:
    ana, gone = UserFactory(name="Ana Provider"), UserFactory()
    resource = ResourceFactory(provider=gone)
    change(resource, provider=ana)
    gone_id = gone.pk
    gone.delete()
    text = text_of(history(chief, resource))
    assert f"{gone_id} arrow_forward Ana Provider" in text


def test_a_timeline_costs_the_same_for_any_length(chief: Client) -> None:
    resource = ResourceFactory()

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            history(chief, resource)
        return len(queries)

    change(resource, provider=UserFactory())
    before = cost()
    for number in range(20):
        change(resource, name=f"Court {number}", provider=UserFactory())
    assert cost() == before


def test_a_long_timeline_has_pages(chief: Client) -> None:
    resource = ResourceFactory(name="Court 0")
    for number in range(1, 61):
        change(resource, name=f"Court {number}")
    first = history(chief, resource)
    assert "Court 60" in first
    assert "Created" not in text_of(first)
    link = re.search(r'href="(\?before=\d+)"', first)
    assert link
    second = text_of(history(chief, resource, query=link[1]))
    assert "Created" in second
    assert "Court 10 arrow_forward Court 11" in text_of(first)
    assert "Court 9 arrow_forward Court 10" in second
    history(chief, resource, query="?before=nonsense")


def test_what_people_wrote_is_escaped_in_a_timeline(chief: Client) -> None:
    resource = ResourceFactory()
    change(resource, name="<script>alert(1)</script>", label="<b>Ana</b>", reason="<i>why</i>")
    url = reverse("timelines:bookings_resource_history", args=[resource.pk])
    html = chief.get(url).content.decode()
    for written in ("<script>alert(1)", "<b>Ana", "<i>why"):
        assert written not in html


def test_a_timeline_of_what_is_not_in_the_list_is_not_found(chief: Client) -> None:
    mine, other = ResourceFactory(), ResourceFactory()
    resources.only = mine.organization
    history(chief, mine)
    history(chief, other, status=404)


def test_a_timeline_needs_the_permission_to_view() -> None:
    resource = ResourceFactory()
    client = Client()
    client.force_login(UserFactory(is_staff=True))
    history(client, resource, status=403)
