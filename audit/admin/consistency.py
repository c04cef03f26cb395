"""Reports of the consistency checks and what they found (A11, F3)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from audit import tasks
from audit.admin.scope import ScopedReadOnlyAdmin, badge, go_to, moment, pretty, staff_actor
from audit.consistency.registry import registry
from audit.errors import Unavailable
from audit.models import ConsistencyReport, Finding

SEVERITY_COLOURS = {"info": "info", "warning": "warning", "error": "danger", "critical": "danger"}
STATUS_COLOURS = {
    Finding.Status.OPEN.value: "danger",
    Finding.Status.NEEDS_REVIEW.value: "warning",
    Finding.Status.FIXED.value: "success",
    Finding.Status.GONE.value: "success",
}


@admin.register(ConsistencyReport)
class ConsistencyReportAdmin(ScopedReadOnlyAdmin):
    empty_text = _("No check has run yet. They run by themselves once a day.")
    list_display = (
        "show_started_at",
        "kind",
        "actor_label",
        "checks_run",
        "show_found",
        "fixed_count",
        "took",
    )
    list_filter = (("kind", ChoicesDropdownFilter), ("started_at", RangeDateTimeFilter))
    list_filter_submit = True
    actions_list = ("check_now",)
    fieldsets = (
        (
            None,
            {"fields": ("kind", "actor_label", "started_at", "took", "show_found", "fixed_count")},
        ),
        (_("Checks"), {"fields": ("show_figures",)}),
    )
    readonly_fields = ("took", "show_found", "show_figures")

    @display(description=_("started at"), ordering="started_at")
    def show_started_at(self, report: ConsistencyReport) -> str:
        return moment(report.started_at)

    @display(description=_("found"), ordering="findings_count")
    def show_found(self, report: ConsistencyReport) -> SafeString:
        if not report.findings_count:
            return badge(gettext("clean"), "success")
        return badge(str(report.findings_count), "danger")

    @display(description=_("took"))
    def took(self, report: ConsistencyReport) -> str:
        return f"{(report.finished_at - report.started_at).total_seconds():.1f} s"

    @display(description=_("figures"))
    def show_figures(self, report: ConsistencyReport) -> SafeString:
        table = {
            "headers": [_("Check"), _("Severity"), _("Found"), _("Repaired"), _("Time")],
            "rows": [
                [
                    self._link_to_findings(report, figure),
                    figure["severity"],
                    figure["error"] or figure["found"],
                    figure["fixed"],
                    f"{figure['duration_ms']} ms",
                ]
                for figure in report.figures
            ],
        }
        return SafeString(render_to_string("unfold/components/table.html", {"table": table}))

    def _link_to_findings(self, report: ConsistencyReport, figure: dict[str, Any]) -> Any:
        if not figure["listed"]:
            return figure["title"]
        url = reverse("admin:audit_finding_changelist")
        return format_html(
            '<a class="text-primary-600 dark:text-primary-500" href="{}?report={}&check={}">{}</a>',
            url,
            report.pk,
            figure["id"],
            figure["title"],
        )

    def has_check_now_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("audit.add_consistencyreport")

    @action(
        description=_("Check now"),
        icon="fact_check",
        url_path="check-now",
        permissions=["check_now"],
        dialog={
            "title": _("Run all checks now?"),
            "description": _("Nothing is changed. The report appears here when it is done."),
            "form_class": BaseDialogForm,
            "form_submit_text": _("Check now"),
        },
    )
    def check_now(self, request: HttpRequest, form: Any) -> HttpResponse:
        mine = self.organization_ids(request)
        chosen = [None] if mine is None else sorted(mine)
        try:
            tasks.ask_for_checks(organization_ids=chosen, actor=staff_actor(request))
        except Unavailable as error:
            self.message_user(request, error.detail, messages.ERROR)
        else:
            text = gettext("The checks are running. Reload this page in a moment.")
            self.message_user(request, text, messages.SUCCESS)
        return go_to(request, reverse("admin:audit_consistencyreport_changelist"))


class CheckFilter(admin.SimpleListFilter):
    title = _("check")
    parameter_name = "check"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(check.id, check.title) for check in registry.checks()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(check_id=self.value()) if self.value() else queryset


class ReportFilter(admin.SimpleListFilter):
    """Shown when a link from a report set it; there is no list of reports to choose from."""

    title = _("report")
    parameter_name = "report"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        chosen = request.GET.get(self.parameter_name)
        return [(chosen, _("this report only"))] if chosen else []

    def has_output(self) -> bool:
        return bool(self.value())

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if not self.value():
            return queryset
        try:
            return queryset.filter(report=UUID(self.value()))
        except ValueError:
            return queryset.none()


@admin.register(Finding)
class FindingAdmin(ScopedReadOnlyAdmin):
    empty_text = _("No findings: everything that was checked agrees.")
    list_display = ("found_at", "show_severity", "message", "check_id", "about", "show_status")
    list_select_related = ("report",)
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("severity", ChoicesDropdownFilter),
        CheckFilter,
        ReportFilter,
    )
    search_fields = ("subject_id", "check_id", "message")
    fieldsets = (
        (None, {"fields": ("show_severity", "message", "about", "show_status", "report")}),
        (_("What it means"), {"fields": ("check_id", "meaning", "show_details")}),
        (_("Repair"), {"fields": ("fixable", "fixed_at", "fix_note", "fix_error")}),
    )
    readonly_fields = ("show_severity", "about", "show_status", "meaning", "show_details")

    @display(description=_("found at"), ordering="report__started_at")
    def found_at(self, finding: Finding) -> str:
        return moment(finding.report.started_at)

    @display(description=_("severity"), ordering="severity")
    def show_severity(self, finding: Finding) -> SafeString:
        return badge(finding.get_severity_display(), SEVERITY_COLOURS.get(finding.severity, ""))

    @display(description=_("status"), ordering="status")
    def show_status(self, finding: Finding) -> SafeString:
        return badge(finding.get_status_display(), STATUS_COLOURS.get(finding.status, ""))

    @display(description=_("about"))
    def about(self, finding: Finding) -> str:
        return f"{finding.subject_type} {finding.subject_id}"

    @display(description=_("meaning"))
    def meaning(self, finding: Finding) -> str:
        known = {check.id: check for check in registry.checks()}
        check = known.get(finding.check_id)
        return f"{check.title}. {check.help}" if check else "-"

    @display(description=_("details"))
    def show_details(self, finding: Finding) -> SafeString:
        return pretty(finding.details)
