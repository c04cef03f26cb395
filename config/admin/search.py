"""Ctrl+K: a reference, a name or an address leads to its page, in few and bounded statements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst

from bookings.admin.base import typed
from bookings.models import Booking, Customer, Organization, Resource
from config.admin.navigation import items
from payments.models import CartTransaction

EACH = 6
SHORTEST = 2
WHERE: list[tuple[type[Any], str]] = [
    (Booking, "event_available"),
    (CartTransaction, "receipt_long"),
    (Customer, "person"),
    (Resource, "sports_tennis"),
    (Organization, "domain"),
]


@dataclass(frozen=True, slots=True)
class Result:
    title: str
    description: str
    link: str
    icon: str


def results(site: Any, request: HttpRequest) -> HttpResponse:
    """What matches, of what this person may see. Nothing is kept: roles change."""
    term = typed(request.GET, "s", 100)
    if len(term) < SHORTEST:
        return HttpResponse()
    found = [
        Result(str(item["title"]), str(item["group"]), str(item["link"]), item["icon"])
        for item in items(request)
        if term.lower() in str(item["title"]).lower()
    ]
    for model, icon in WHERE:
        found += _of(site._registry[model], request, term, icon)
    page = Paginator(found, len(found) or 1)
    return TemplateResponse(
        request,
        "unfold/helpers/command_results.html"
        if "extended" in request.GET
        else "unfold/helpers/search_results.html",
        {
            "page_obj": page,
            "results": page.page(1),
            "page_counter": 0,
            "execution_time": 0,
            "command_show_history": False,
        },
        headers={"HX-Trigger": "search"},
    )


def _of(model_admin: Any, request: HttpRequest, term: str, icon: str) -> list[Result]:
    if not model_admin.has_view_permission(request):
        return []
    matching, _ = model_admin.get_search_results(request, model_admin.get_queryset(request), term)
    meta = model_admin.opts
    name = f"admin:{meta.app_label}_{meta.model_name}_change"
    return [
        Result(_title(one), capfirst(str(meta.verbose_name)), reverse(name, args=[one.pk]), icon)
        for one in matching[:EACH]
    ]


def _title(one: Any) -> str:
    if isinstance(one, Booking):
        return f"{one.reference} · {one.customer}"
    if isinstance(one, Customer) and one.email:
        return f"{one} · {one.email}"
    return str(one)
