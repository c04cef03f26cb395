"""Proofs of payment: upload them, and download them again (A3)."""

from __future__ import annotations

import hashlib
import uuid

import structlog
from django.conf import settings
from django.http import FileResponse, HttpResponse, HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request

from audit.api import answers
from audit.api.fields import Fields
from audit.errors import Invalid, NotFound
from audit.idempotency import Answer
from bookings.api.views import OrganizationView
from payments import files, selectors
from payments.api import representations, serializers
from payments.errors import FileTooLarge
from payments.models.proof import proof_storage
from payments.services import proofs

log = structlog.get_logger("holdfast.api")

FORM_BYTES = 64 * 1024  # what a form with a file has besides the file
PROBLEMS = ["already_decided", "not_payable", "file_refused", "file_too_large", "quota_exceeded"]

# A file somebody uploaded: saved and never shown, whatever it says it is (promise 14).
DOWNLOAD_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Upload(OrganizationView):
    """Base of both uploads."""

    parser_classes = [MultiPartParser]
    throttle_scope = "upload"

    def submit(
        self, request: Request, transaction_id: uuid.UUID, booking_id: uuid.UUID | None
    ) -> HttpResponse:
        """Take one file; it stays only if the change it belongs to commits."""
        customer = self.viewer.customer
        assert customer is not None
        fields = Fields(request.data)
        amount = fields.amount("amount")
        reference = fields.text("reference", longest=100, one_line=True)
        fields.check()
        upload = request.FILES.get("file")
        if upload is None:
            raise Invalid("Send the file as multipart/form-data.", field="file")
        content = upload.read()
        now = timezone.now()
        asked = [transaction_id, booking_id, amount, reference, hashlib.sha256(content).hexdigest()]

        with files.stored(files.examine(content, upload.name or "")) as file:

            def execute() -> Answer:
                proof = proofs.submit(
                    transaction_id=transaction_id,
                    organization_id=self.viewer.organization.pk,
                    customer=customer,
                    file=file,
                    booking_id=booking_id,
                    amount=amount,
                    reference=reference,
                    actor=self.actor,
                    now=now,
                )
                return answers.answer(representations.proof(proof, self.viewer), 201)

            return self.once(request, asked, execute)

    @staticmethod
    def limit(request: Request) -> None:
        """Refuse what is too large before a byte of it is read."""
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdigit() and int(length) > settings.PROOF_MAX_BYTES + FORM_BYTES:
            most = settings.PROOF_MAX_BYTES // 1024 // 1024
            raise FileTooLarge(f"At most {most} MB can be uploaded.")


class TransactionProofs(Upload):
    """Proofs of a transaction."""

    @extend_schema(
        operation_id="upload_proof",
        tags=["Transactions"],
        request={"multipart/form-data": serializers.ProofRequest},
        responses={201: serializers.ProofSerializer},
        extensions={"x-problems": PROBLEMS},
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Upload a proof of payment; the transaction goes under review.

        If the time to pay has run out, the seats are taken again where all of them are still free;
        else the transaction says in `late_payment` that the staff decide about the money.
        """
        self.limit(request)
        if not selectors.owns(self.viewer, pk):
            raise NotFound("There is no such transaction.")
        return self.submit(request, pk, None)


class BookingProofs(Upload):
    """Proofs of one booking of a transaction."""

    @extend_schema(
        operation_id="upload_proof_of_booking",
        tags=["Bookings"],
        request={"multipart/form-data": serializers.ProofRequest},
        responses={201: serializers.ProofSerializer},
        extensions={"x-problems": PROBLEMS},
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Upload a proof of payment for one booking alone."""
        self.limit(request)
        if self.viewer.customer is None:
            raise NotFound("There is no such booking.")
        transaction_id = proofs.transaction_of_booking(booking_id=pk, customer=self.viewer.customer)
        return self.submit(request, transaction_id, pk)


class ProofFile(OrganizationView):
    """The file of a proof, for its customer and for staff who review it."""

    @extend_schema(
        operation_id="download_proof",
        tags=["Transactions"],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponseBase:
        proof = selectors.proofs(self.viewer).filter(pk=pk).first()
        if proof is None:
            raise NotFound("There is no such proof.")
        try:
            content = proof_storage().open(str(proof.file.name))
        except FileNotFoundError as error:
            log.error("proof_file_missing", proof=str(proof.pk))
            raise NotFound("The file is not there any more.") from error
        return FileResponse(
            content,
            as_attachment=True,
            filename=proof.original_name,
            content_type=proof.content_type,
            headers=DOWNLOAD_HEADERS,
        )
