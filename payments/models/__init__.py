from payments.models.cart import Cart, CartItem
from payments.models.price import PaymentPolicy, Price
from payments.models.proof import Proof
from payments.models.refund import CancellationPolicy, LatePayment, Refund
from payments.models.transaction import CartTransaction

__all__ = [
    "CancellationPolicy",
    "Cart",
    "CartItem",
    "CartTransaction",
    "LatePayment",
    "PaymentPolicy",
    "Price",
    "Proof",
    "Refund",
]
