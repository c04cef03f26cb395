"""The running system, started once for all journeys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from django.test import TransactionTestCase

from bookings.models import Resource
from tests import factories as f
from tests.faults import proofs_in
from tests.journeys.system import System, hang_up, noon_zone


@pytest.fixture(scope="package")
def system(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    """Its database is emptied when all are done, and not after each test: it is in use."""
    with django_db_blocker.unblock():
        running = System(tmp_path_factory.mktemp("system"))
        try:
            with mock.patch.object(TransactionTestCase, "_fixture_teardown", return_value=None):
                running.start()
                yield running
        finally:
            running.stop()
            TransactionTestCase._fixture_teardown(None)  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _same_proofs(system: System, _private_files: None) -> Iterator[None]:
    """The checks of the test look where the web server stores."""
    with proofs_in(system.proofs):
        yield


@pytest.fixture(autouse=True)
def _people_hang_up() -> Iterator[None]:
    yield
    hang_up()


@pytest.fixture
def shop(system: System) -> Resource:
    """A resource with a price, where it is noon."""
    resource = f.ResourceFactory(time_zone=noon_zone())
    f.PriceFactory(resource=resource, amount=20, tax_percent=19)
    return resource
