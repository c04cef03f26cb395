"""What can go wrong with carts and payments, in words for the person who asked."""

from audit.errors import DomainError


class CartEmpty(DomainError):
    """There is nothing in the cart."""

    code = "cart_empty"


class CartFull(DomainError):
    """The cart holds as much as it can."""

    code = "cart_full"


class MethodNotOffered(DomainError):
    """This way to pay is not offered for what is in the cart."""

    code = "payment_method_not_offered"


class MixedCurrencies(DomainError):
    """Things with different currencies cannot be paid together."""

    code = "mixed_currencies"


class AlreadyDecided(DomainError):
    """This transaction has been decided already."""

    code = "already_decided"
    constraints = ("payments_carttransaction_status_follows_lifecycle",)


class ProofMissing(DomainError):
    """There is no proof of payment to approve."""

    code = "proof_missing"


class OwnTransaction(DomainError):
    """You cannot decide on your own order."""

    code = "own_transaction"
    status = 403


class NotPayable(DomainError):
    """Nothing is to be paid here any more."""

    code = "not_payable"
    constraints = ("payments_carttransaction_payment_status_follows_lifecycle",)


class LatePaymentDecided(DomainError):
    """This late payment has been decided already."""

    code = "late_payment_decided"
    constraints = ("payments_latepayment_status_follows_lifecycle",)


class SeatsGone(DomainError):
    """Not every booking can have its seats."""

    code = "seats_gone"


class FileRefused(DomainError):
    """This file cannot be taken as a proof of payment."""

    code = "file_refused"
    status = 400

    def __init__(self, detail: str = "", **extra: object) -> None:
        super().__init__(detail, errors={"file": [str(detail)]}, **extra)


class FileTooLarge(DomainError):
    """This file is too large."""

    code = "file_too_large"
    status = 413


class QuotaExceeded(DomainError):
    """Too much has been uploaded in the last 30 days."""

    code = "quota_exceeded"
    status = 409


class PriceDiffers(DomainError):
    """That time has another price than the one that was agreed."""

    code = "price_differs"


class LengthDiffers(DomainError):
    """That time is longer or shorter than the one that was booked for this price."""

    code = "length_differs"


class SeriesNotFree(DomainError):
    """Not every date of this series can be booked."""

    code = "series_not_free"


class FeeDue(DomainError):
    """Cancelling this now costs a fee."""

    code = "fee_due"


class RefundSettled(DomainError):
    """This refund is settled, or owed, already."""

    code = "refund_settled"
    constraints = ("payments_refund_status_follows_lifecycle",)


class RefundNotPossible(DomainError):
    """No money can be given back here now."""

    code = "refund_not_possible"


class RefundUnverified(DomainError):
    """Nobody has seen yet that the money came."""

    code = "refund_unverified"
