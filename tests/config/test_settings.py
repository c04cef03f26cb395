"""Production refuses what is only good for a demo. Serves F4."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOOD = {
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "SECRET_KEY": "a-" + "s3cret-of-sessions-" * 4,
    "CHECK_IN_KEY": "b-" + "s3cret-of-tickets-" * 4,
    "DATABASE_URL": "postgresql://holdfast@db.example/holdfast",
    "REDIS_URL": "redis://cache.example:6379/0",
    "ALLOWED_HOSTS": "book.example",
    "PUBLIC_URL": "https://book.example",
}


def check_deploy(changes: dict[str, str | None]) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in GOOD}
    env = clean | {k: v for k, v in (GOOD | changes).items() if v is not None}
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_it_starts_with_everything_set_and_the_deployment_check_is_clean():
    done = check_deploy({})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"SECRET_KEY": None}, "SECRET_KEY"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"SECRET_KEY": "insecure-" + "x" * 60}, "SECRET_KEY"),
        ({"CHECK_IN_KEY": None}, "CHECK_IN_KEY"),
        ({"DATABASE_URL": None}, "DATABASE_URL"),
        ({"REDIS_URL": None}, "REDIS_URL"),
        ({"ALLOWED_HOSTS": None}, "ALLOWED_HOSTS"),
        ({"PUBLIC_URL": None}, "PUBLIC_URL"),
        ({"ACCOUNT_EMAIL_VERIFICATION": "none"}, "ACCOUNT_EMAIL_VERIFICATION"),
    ],
)
def test_it_refuses_to_start_and_says_what_is_missing(changes, named):
    done = check_deploy(changes)
    assert done.returncode != 0
    assert "ImproperlyConfigured" in done.stderr
    assert named in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(("said", "meant"), [(None, "mandatory"), ("optional", "optional")])
def test_addresses_are_confirmed_unless_the_operator_says_otherwise(said, meant):
    clean = {k: v for k, v in os.environ.items() if k not in GOOD}
    env = clean | GOOD | ({"ACCOUNT_EMAIL_VERIFICATION": said} if said else {})
    shown = "from django.conf import settings; print(settings.ACCOUNT_EMAIL_VERIFICATION)"

    done = subprocess.run(
        [sys.executable, "-c", shown], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )

    assert done.stdout.strip() == meant, done.stderr
