"""Real PostgreSQL and Valkey for every test; each worker has databases of its own."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections
from django.test import TransactionTestCase
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from config.embedded import Servers

ROOT = Path(__file__).resolve().parent.parent
BASE = (ROOT / os.environ.get("HOLDFAST_TEST_DATA", "var/test")).resolve()
_servers: Servers | None = None

# Nothing is to depend on how fast the machine is while others use it.
settings.register_profile("holdfast", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("holdfast")


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers once, in the process that owns the run and not in its workers."""
    global _servers
    if "PYTEST_XDIST_WORKER" not in os.environ:
        _servers = Servers.where_unset(BASE, os.environ, durable=False)
        _servers.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _servers is not None:
        _servers.stop()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported stays, so nobody looks for garbage in it: not now, and not later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


class LoadGroups(LoadScopeScheduling):
    """``--dist loadgroup`` again: what a file marks with ``xdist_group`` runs in one worker.

    xdist 3.8 marks the ids of tests, which pytest 9.2 does not let it do any more, and then
    spreads them without a word.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _group_of(nodeid.partition("::")[0]) or nodeid


@cache
def _group_of(path: str) -> str | None:
    found = re.search(r'xdist_group\("(\w+)"\)', (ROOT / path).read_text())
    return found[1] if found else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadGroups | None:
    return LoadGroups(config, log) if config.getvalue("dist") == "loadgroup" else None


KEPT = {"django_migrations", "django_content_type", "auth_permission"}


def _empty_tables(self: TransactionTestCase | None) -> None:
    """Empty every table that has rows after a test with real transactions.

    Deleting from twenty tables takes 5 ms where truncating all of them takes 70. No trigger and
    no foreign key acts meanwhile, except those of the trail, which refuse everybody: the function
    that refuses is relaxed and put back within the transaction that empties, so that no other
    session ever sees it relaxed.

    Whoever leaves a limit or another setting on the connection is named here, and not by a test
    that comes later and is stopped by it.
    """
    from tests.faults import settings_left

    connection = connections["default"]
    tables = sorted(set(connection.introspection.table_names()) - KEPT)
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f'EXISTS (SELECT 1 FROM "{t}")' for t in tables))
        used = [t for t, has_rows in zip(tables, cursor.fetchone(), strict=True) if has_rows]
        cursor.execute("SELECT pg_get_functiondef('audit_refuse_change'::regproc)")
        refuse = cursor.fetchone()[0]
        cursor.execute(
            "BEGIN; SET LOCAL session_replication_role = replica;"
            " CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger"
            " LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
            + "".join(f'DELETE FROM "{table}";' for table in used)
            + f"{refuse}; COMMIT;"
        )
    left = settings_left()
    assert not left, f"this test left settings on its connection: {left}"


TransactionTestCase._fixture_teardown = _empty_tables  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _private_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Proofs of each test lie in a folder of its own, made when the first one is stored."""
    from tests.faults import proofs_in

    with proofs_in(tmp_path_factory.getbasetemp() / f"proofs-{uuid4().hex}"):
        yield
