"""Timestamps are read as Django reads them, only faster (B12)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import DataError, connection

from audit.timestamps import UtcLoader

pytestmark = pytest.mark.django_db


def read(text, kind="timestamptz"):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT '{text}'::{kind}")
        return cursor.fetchone()[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20 18:06:47+00", datetime(2026, 11, 20, 18, 6, 47, tzinfo=UTC)),
        ("2026-11-20 18:06:47.2+00", datetime(2026, 11, 20, 18, 6, 47, 200_000, tzinfo=UTC)),
        ("2026-11-20 18:06:47.29+00", datetime(2026, 11, 20, 18, 6, 47, 290_000, tzinfo=UTC)),
        ("2026-11-20 18:06:47.000001+00", datetime(2026, 11, 20, 18, 6, 47, 1, tzinfo=UTC)),
        ("2026-03-29 03:30:00+02", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        ("0001-01-01 00:00:00+00", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31 23:59:59.999999+00", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_a_timestamp_is_the_moment_it_names_in_utc(text, expected):
    found = read(text)

    assert found == expected
    assert found.tzinfo is UTC


@pytest.mark.parametrize("text", ["infinity", "-infinity", "0044-03-15 BC", "10000-01-01"])
def test_what_no_datetime_can_hold_is_refused_as_before(text):
    with pytest.raises(DataError):
        read(text)


def test_a_session_in_another_time_zone_is_read_right():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'Asia/Kolkata'")
        cursor.execute("SELECT '2026-11-20 18:06:47+00'::timestamptz")
        found = cursor.fetchone()[0]

    # Django names the zone of the connection without converting, and so do we.
    assert found.tzinfo == UTC
    assert found.replace(tzinfo=timezone(timedelta(hours=5, minutes=30))) == datetime(
        2026, 11, 20, 18, 6, 47, tzinfo=UTC
    )


def test_this_is_how_every_connection_reads():
    connection.ensure_connection()
    loader = connection.connection.adapters.get_loader(
        connection.connection.adapters.types["timestamptz"].oid, 0
    )

    assert loader is UtcLoader
