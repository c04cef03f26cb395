"""People who use the API, and what they use it on."""

from __future__ import annotations

import pytest

from tests.api.client import Client
from tests.api.world import World


@pytest.fixture
def anonymous() -> Client:
    """Somebody who is not signed in."""
    return Client()


@pytest.fixture
def world(db: None) -> World:
    """Two organisations with people, slots and transactions; see there."""
    return World()
