"""The ways out. The relay knows no mail server, only this."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from audit.models import Delivery, OutboxEvent


class ChannelAway(Exception):
    """The other side cannot be reached at all, whatever is sent. The message is logged and kept."""


class Refused(Exception):
    """This delivery is refused for good: trying again cannot help."""


class Failed(Exception):
    """This attempt failed; another may succeed."""


class Sender(Protocol):
    """An open connection to the other side."""

    def send(self, delivery: Delivery) -> None:
        """Deliver one. The texts of the errors are shown to staff and hold no personal data.

        Raises:
            Refused, Failed, ChannelAway: see there. Any other exception counts as Failed.
        """


class Channel(Protocol):
    """A way to tell somebody something."""

    name: str

    def deliveries(self, events: Sequence[OutboxEvent]) -> list[Delivery]:
        """The deliveries that these events need over this channel, not yet saved."""

    def connect(self) -> AbstractContextManager[Sender]:
        """Connect for one batch.

        Raises:
            ChannelAway: there is nobody.
        """


def all_channels() -> tuple[Channel, ...]:
    """Every channel, in the order in which the relay serves them."""
    from audit.delivery.email import EmailChannel

    return (EmailChannel(),)
