from payments.models.cart import Cart, CartItem
from payments.models.price import PaymentPolicy, Price
from payments.models.proof import Proof
from payments.models.transaction import CartTransaction

__all__ = ["Cart", "CartItem", "CartTransaction", "PaymentPolicy", "Price", "Proof"]
