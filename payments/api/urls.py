"""Paths of this app under ``/api/v1/organizations/{org}/``."""

from django.urls import path

from payments.api import (
    bookings,
    carts,
    proofs,
    reschedule,
    series,
    slots,
    transactions,
    waitlist,
)

organization = [
    path("slots/", slots.Slots.as_view()),
    path("cart/", carts.CartView.as_view()),
    path("cart/items/", carts.CartItems.as_view()),
    path("cart/items/<uuid:pk>/", carts.CartItemDetail.as_view()),
    path("cart/checkout/", carts.Checkout.as_view()),
    path("transactions/", transactions.Transactions.as_view()),
    path("transactions/<uuid:pk>/", transactions.TransactionDetail.as_view()),
    path("transactions/<uuid:pk>/approve/", transactions.Approve.as_view()),
    path("transactions/<uuid:pk>/reject/", transactions.Reject.as_view()),
    path("transactions/<uuid:pk>/cancel/", transactions.Cancel.as_view()),
    path("transactions/<uuid:pk>/take-payment/", transactions.TakePayment.as_view()),
    path("transactions/<uuid:pk>/proofs/", proofs.TransactionProofs.as_view()),
    path("bookings/", bookings.Bookings.as_view()),
    path("bookings/<uuid:pk>/", bookings.BookingDetail.as_view()),
    path("bookings/<uuid:pk>/cancel/", bookings.Cancel.as_view()),
    path("bookings/<uuid:pk>/reschedule/", reschedule.Reschedule.as_view()),
    path("bookings/<uuid:pk>/propose/", reschedule.Propose.as_view()),
    path("bookings/<uuid:pk>/accept/", reschedule.Accept.as_view()),
    path("bookings/<uuid:pk>/decline/", reschedule.Decline.as_view()),
    path("bookings/<uuid:pk>/withdraw/", reschedule.Withdraw.as_view()),
    path("bookings/<uuid:pk>/proofs/", proofs.BookingProofs.as_view()),
    path("series/", series.AllSeries.as_view()),
    path("series/preview/", series.Preview.as_view()),
    path("series/<uuid:pk>/", series.SeriesDetail.as_view()),
    path("series/<uuid:pk>/cancel/", series.Cancel.as_view()),
    path("waitlist/", waitlist.Waitlist.as_view()),
    path("waitlist/<uuid:pk>/", waitlist.Entry.as_view()),
    path("waitlist/<uuid:pk>/accept/", waitlist.Accept.as_view()),
    path("proofs/<uuid:pk>/file/", proofs.ProofFile.as_view(), name="proof-file"),
]
