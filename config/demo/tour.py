"""The main job, once over HTTP: a customer books and pays, staff approve and let them in."""

from __future__ import annotations

import email
import email.policy
import io
import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from django.core.management import CommandError, call_command
from PIL import Image
from rich.console import Console

from config.demo.client import TourFailed, Visitor

ORGANIZATION = "riverside-sports"
MAIL_SECONDS = 30.0
# A slot that starts sooner could begin while the tour is on its way to it.
MARGIN = timedelta(minutes=5)
VENUES = ZoneInfo("Europe/Berlin")  # and Zurich, whose clocks show the same

Slot = dict[str, Any]


class Tour:
    """One walk through the main job; each step uses what the ones before it left here."""

    def __init__(self, *, url: str, logins: dict[str, tuple[str, str]], mail_folder: Path) -> None:
        """Describe the tour.

        Args:
            url: where the web server answers.
            logins: e-mail address and password of the roles `reviewer` and `front_desk`.
            mail_folder: where the file e-mail backend writes.
        """
        self._logins = logins
        self._mail_folder = mail_folder
        self._email = f"visitor-{uuid.uuid4().hex[:8]}@example.com"
        self._customer = Visitor(url, ORGANIZATION)
        self._reviewer = Visitor(url, ORGANIZATION)
        self._front_desk = Visitor(url, ORGANIZATION)
        self._slots: list[Slot] = []
        self._transaction: dict[str, Any] = {}
        self._code = ""
        self._comment = ""
        self._later = ""  # the booking of another day
        self._proposed = ""  # the slot that is proposed for it
        self._began = datetime.now(VENUES)

    def run(self, console: Console) -> bool:
        """Take every step, print each with its time, and return whether all went well."""
        steps: list[tuple[str, Callable[[], None]]] = [
            ("A customer signs up", self._sign_up),
            ("finds two free slots", self._find_slots),
            ("puts both in the cart, which holds the seats", self._fill_cart),
            ("checks out, paying now", self._check_out),
            ("uploads a proof of payment", self._upload_proof),
            ("A reviewer signs in and approves the transaction", self._approve),
            ("The customer has a confirmed booking and its QR code", self._get_code),
            ("and an e-mail that says so", self._get_mail),
            ("moves the other booking to another time of the same price", self._reschedule),
            ("The front desk proposes yet another time, and both are held", self._propose),
            ("The customer accepts it", self._accept),
            ("and looks at the same hour of three weeks", self._look_at_series),
            ("The front desk scans the code", self._check_in),
            ("and a second scan is refused", self._check_in_again),
            ("Regenerating all slots would change nothing", self._check_schedules),
            ("The consistency check finds nothing", self._check_consistency),
        ]
        try:
            return all(self._take(console, sentence, step) for sentence, step in steps)
        finally:
            for visitor in (self._customer, self._reviewer, self._front_desk):
                visitor.close()

    def _take(self, console: Console, sentence: str, step: Callable[[], None]) -> bool:
        begun = time.monotonic()
        self._comment = ""
        try:
            step()
        except (TourFailed, httpx.TransportError, LookupError) as error:
            console.print(f"[red]✗[/] {sentence}\n  {type(error).__name__}: ", end="")
            console.print(str(error), markup=False)
            return False
        seconds = time.monotonic() - begun
        console.print(f"[green]✓[/] {sentence} [dim]{self._comment} {seconds:.2f} s[/]")
        return True

    # -- the customer ---------------------------------------------------------------------------

    def _sign_up(self) -> None:
        self._customer.sign_up(email=self._email, password=f"Demo-{uuid.uuid4().hex}")

    def _find_slots(self) -> None:
        """Find one slot of today, so that it can be checked in, and one of another day."""
        resources = self._customer.get("resources/")["results"]
        if not resources:
            raise TourFailed("The organisation has no resources.")
        now = datetime.now(UTC)
        today = [
            slot for slot in self._free_slots(now, now + timedelta(days=1)) if is_today(slot, now)
        ]
        later = self._free_slots(now + timedelta(days=1), now + timedelta(days=8))
        self._slots = [*today[-1:], *later][:2]
        if len(self._slots) < 2:
            raise TourFailed("There are no two free slots within a week.")
        self._comment = f"{len(resources)} resources"

    def _free_slots(self, start: datetime, end: datetime) -> list[Slot]:
        answer = self._customer.get(
            "slots/",
            available="true",
            **{"from": (start + MARGIN).isoformat(), "to": end.isoformat()},
        )
        return [slot for slot in answer["results"] if Decimal(slot["price"]) > 0]

    def _fill_cart(self) -> None:
        for slot in self._slots:
            item = self._customer.post("cart/items/", {"slot": slot["id"], "units": 1}, expect=201)
            if "hold_expires_at" not in item:
                raise TourFailed(f"The item has no hold_expires_at: {item}")

    def _check_out(self) -> None:
        answer = self._customer.post("cart/checkout/", {"payment_method": "pay_now"}, expect=201)
        self._transaction = answer
        self._comment = f"{answer['amount']} {answer['currency']}"

    def _upload_proof(self) -> None:
        self._customer.upload(
            f"transactions/{self._transaction['id']}/proofs/",
            {"amount": self._transaction["amount"], "reference": "DEMO-CHECK"},
            ("receipt.png", picture(), "image/png"),
        )

    def _get_code(self) -> None:
        transaction = self._customer.get(f"transactions/{self._transaction['id']}/")
        bookings = [
            self._customer.get(f"bookings/{booking_id(one)}/") for one in transaction["bookings"]
        ]
        statuses = {booking["status"] for booking in bookings}
        if len(bookings) != len(self._slots) or statuses != {"confirmed"}:
            raise TourFailed(f"{len(bookings)} bookings, with status {statuses}.")
        first = next(one for one in bookings if slot_id(one) == self._slots[0]["id"])
        self._later = next(one["id"] for one in bookings if one is not first)
        self._code = first["check_in_code"]
        answer = self._customer.download(f"bookings/{first['id']}/qr.svg")
        if not answer.headers["content-type"].startswith("image/svg") or "<svg" not in answer.text:
            raise TourFailed("The QR code is no SVG image.")

    def _get_mail(self) -> None:
        end = time.monotonic() + MAIL_SECONDS
        while time.monotonic() < end:
            for message in mails_to(self._email, self._mail_folder):
                subject = str(message["subject"])
                if "confirmed" in subject.lower() or "approved" in subject.lower():
                    self._comment = f"“{subject}”"
                    return
            time.sleep(0.2)
        found = [str(message["subject"]) for message in mails_to(self._email, self._mail_folder)]
        raise TourFailed(
            f"No such mail to {self._email} within {MAIL_SECONDS:.0f} s, only: {found}"
        )

    def _reschedule(self) -> None:
        booking = self._customer.get(f"bookings/{self._later}/")
        wanted = self._another_time(booking)
        moved = self._customer.change(
            f"bookings/{self._later}/", "reschedule/", {"slot": wanted["id"]}
        )
        if slot_id(moved) != wanted["id"] or moved["status"] != "confirmed":
            raise TourFailed(f"The booking is {moved['status']}, at {moved['slot']}.")
        self._comment = f"{wanted['starts_at']} instead of {booking['slot']['starts_at']}"

    def _another_time(self, booking: dict[str, Any]) -> Slot:
        """The next free slot of the same resource and price after that of a booking."""
        ends_at = datetime.fromisoformat(booking["slot"]["ends_at"])
        answer = self._customer.get(
            "slots/",
            available="true",
            resource=booking["slot"]["resource"],
            **{"from": ends_at.isoformat(), "to": (ends_at + timedelta(days=8)).isoformat()},
        )
        for slot in answer["results"]:
            if slot["price"] == booking["amount"]:
                return dict(slot)
        raise TourFailed("There is no other free slot of the same price within a week.")

    def _accept(self) -> None:
        accepted = self._customer.change(f"bookings/{self._later}/", "accept/", {})
        if slot_id(accepted) != self._proposed or accepted["status"] != "confirmed":
            raise TourFailed(f"The booking is {accepted['status']}, at {accepted['slot']}.")

    def _look_at_series(self) -> None:
        slot = self._another_time(self._customer.get(f"bookings/{self._later}/"))
        wish = {"resource": slot["resource"], "starts_at": slot["starts_at"], "times": 3}
        dates = self._customer.post("series/preview/", wish)["dates"]
        outcomes = [date["outcome"] for date in dates]
        if len(dates) != 3 or outcomes[0] != "free" or dates[0]["slot"] != slot["id"]:
            raise TourFailed(f"The dates are {dates}.")
        self._comment = ", ".join(outcomes)

    # -- staff ----------------------------------------------------------------------------------

    def _approve(self) -> None:
        address, password = self._logins["reviewer"]
        self._reviewer.sign_in(email=address, password=password)
        answer = self._reviewer.post(f"transactions/{self._transaction['id']}/approve/", {})
        if answer["status"] != "approved":
            raise TourFailed(f"The transaction is {answer['status']}.")

    def _propose(self) -> None:
        address, password = self._logins["front_desk"]
        self._front_desk.sign_in(email=address, password=password)
        booking = self._front_desk.get(f"bookings/{self._later}/")
        self._proposed = self._another_time(booking)["id"]
        answer = self._front_desk.change(
            f"bookings/{self._later}/",
            "propose/",
            {"slot": self._proposed, "message": "That hour is needed for a match."},
        )
        if answer["status"] != "reschedule_proposed":
            raise TourFailed(f"The booking is {answer['status']}.")
        proposal = self._customer.get(f"bookings/{self._later}/")["proposal"]
        if slot_id(proposal) != self._proposed:
            raise TourFailed(f"The customer sees another proposal: {proposal}")
        self._comment = f"until {proposal['answer_until']}"

    def _check_in(self) -> None:
        if is_today(self._slots[0], datetime.now(UTC)):
            answer = self._front_desk.post("check-ins/", {"code": self._code})
            if answer["status"] != "checked_in":
                raise TourFailed(f"The answer is {answer}.")
        else:
            self._expect_refusal("wrong_day")
            self._comment = "refused with wrong_day, as no slot is left today"

    def _check_in_again(self) -> None:
        self._expect_refusal(
            "already_checked_in" if is_today(self._slots[0], datetime.now(UTC)) else "wrong_day"
        )

    def _expect_refusal(self, code: str) -> None:
        answer = self._front_desk.post("check-ins/", {"code": self._code}, expect=409)
        if answer["code"] != code:
            raise TourFailed(f"The code is {answer['code']}, not {code}.")
        self._comment = code

    def _check_schedules(self) -> None:
        text = self._command("regenerate_slots", "--dry-run", "--json")
        plan = json.loads(text)
        changes = {what: n for what, n in plan["totals"].items() if n and what != "kept"}
        if datetime.now(VENUES).date() != self._began.date():
            changes.pop("created", None)  # midnight came, and with it a day of the horizon
        if changes:
            raise TourFailed(f"It would change slots: {changes}")
        self._comment = f"{plan['totals']['kept']} slots of {len(plan['resources'])} resources"

    def _check_consistency(self) -> None:
        text = self._command("check_consistency", "--format", "json")
        self._comment = f"{len(json.loads(text)['checks'])} checks"

    @staticmethod
    def _command(name: str, *arguments: str) -> str:
        """What a command prints that ends with status 0."""
        output = io.StringIO()
        try:
            call_command(name, *arguments, stdout=output, stderr=io.StringIO())
        except CommandError as error:
            raise TourFailed(f"{name}: {error}") from error
        except SystemExit as error:
            if error.code:
                text = output.getvalue() or "it could not be run"
                raise TourFailed(f"{name}: {text[:2000]}") from error
        return output.getvalue()


def is_today(slot: Slot, now: datetime) -> bool:
    """Whether the slot is on the day that it is now where the slot is."""
    zone = ZoneInfo(slot["time_zone"])
    return (
        datetime.fromisoformat(slot["starts_at"]).astimezone(zone).date()
        == now.astimezone(zone).date()
    )


def booking_id(booking: str | dict[str, Any]) -> str:
    return booking if isinstance(booking, str) else str(booking["id"])


def slot_id(booking: dict[str, Any]) -> str:
    slot = booking["slot"]
    return slot if isinstance(slot, str) else str(slot["id"])


def mails_to(address: str, folder: Path) -> list[email.message.EmailMessage]:
    """Return the messages to `address`; the file backend writes those of one connection into one
    file, with a line of dashes after each."""
    messages = []
    for path in sorted(folder.glob("*.log")):
        for part in path.read_bytes().split(b"-" * 79):
            message = email.message_from_bytes(part.strip(), policy=email.policy.default)
            if address in str(message["to"]):
                messages.append(message)
    return messages


def picture() -> bytes:
    """Return a small PNG, as a proof of payment."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((320, 200)).save(file, "PNG")
    return file.getvalue()
