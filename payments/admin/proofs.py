"""Proofs of payment: the files, for those who may see them and nobody else (promises 11 to 14)."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from audit.errors import DomainError
from bookings.admin.base import LongListMixin, OwnOrganizationFilter, ScopedModelAdmin
from bookings.admin.show import link_to, when
from payments import files
from payments.admin import show
from payments.models import Proof
from payments.models.proof import proof_storage

SEALED = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@admin.register(Proof)
class ProofAdmin(LongListMixin, ScopedModelAdmin):
    """The list of files; what they prove is decided on the page of their transaction."""

    list_display = (
        "original_name",
        "transaction_link",
        "customer",
        "stated",
        "reference",
        "uploaded",
        "state",
    )
    list_display_links = None
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("content_type", ChoicesDropdownFilter),
        ("organization", OwnOrganizationFilter),
    )
    list_select_related = ("transaction", "customer")
    search_fields = ("^transaction__reference", "^reference", "customer__name", "sha256")
    search_help_text = _("Reference of the transaction or the payment, customer, or checksum")
    ordering = ("-uploaded_at", "-id")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:object_id>/image/", view(self.image_view), name="payments_proof_image"),
            path("<uuid:object_id>/file/", view(self.file_view), name="payments_proof_file"),
            *super().get_urls(),
        ]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A proof has no page of its own: it is looked at beside what it pays."""
        found = self.get_object_or_none(request, object_id) if object_id else None
        if found is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id or "")  # type: ignore[no-any-return]
        return HttpResponseRedirect(
            reverse("admin:payments_carttransaction_change", args=[found.transaction_id])
        )

    def image_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """The picture, or the first page of a PDF as one."""
        proof = self._proof(request, object_id)
        content = self._content(proof)
        if proof.is_image:
            return HttpResponse(content, content_type=proof.content_type, headers=SEALED)
        try:
            drawn = files.preview(content)
        except DomainError as error:
            raise Http404(error.detail) from error
        return HttpResponse(drawn, content_type="image/png", headers=SEALED)

    def file_view(self, request: HttpRequest, object_id: uuid.UUID) -> FileResponse:
        """The stored file as a download."""
        proof = self._proof(request, object_id)
        try:
            opened = proof_storage().open(str(proof.file.name))
        except OSError as error:
            raise Http404(gettext("The file is missing.")) from error
        return FileResponse(
            opened,
            as_attachment=True,
            filename=f"{proof.transaction.reference}-{str(proof.pk)[-6:]}.{proof.extension}",
            content_type=proof.content_type,
            headers=SEALED,
        )

    def _proof(self, request: HttpRequest, object_id: uuid.UUID) -> Proof:
        found = self.get_queryset(request).select_related("transaction").filter(pk=object_id)
        proof = found.first()
        if proof is None or not self.has_view_permission(request, proof):
            raise Http404
        return proof  # type: ignore[no-any-return]

    def _content(self, proof: Proof) -> bytes:
        try:
            with proof_storage().open(str(proof.file.name)) as opened:
                content: bytes = opened.read()
        except OSError as error:
            raise Http404(gettext("The file is missing.")) from error
        return content

    @display(description=_("transaction"), ordering="transaction__reference")
    def transaction_link(self, proof: Proof) -> SafeString:
        return link_to(proof.transaction)

    @display(description=_("amount stated"), ordering="amount")
    def stated(self, proof: Proof) -> str:
        if proof.amount is None:
            return "–"
        return show.money(proof.amount, proof.transaction.currency)

    @display(description=_("uploaded at"), ordering="uploaded_at")
    def uploaded(self, proof: Proof) -> str:
        return when(proof.uploaded_at)

    @display(description=_("status"), ordering="status")
    def state(self, proof: Proof) -> SafeString:
        return show.proof_badge(proof)
