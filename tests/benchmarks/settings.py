"""Production's settings as far as one machine without TLS allows, and the ceilings beside them.

Kept as in production: every middleware, the database pool and its time limits, throttling (with
limits nobody reaches), the outbox and its hint to the worker, static files. Different: embedded
servers, no TLS, log lines from WARNING on, a URL table with the ceilings in it.
"""

from config.embedded import urls
from config.settings.base import *  # noqa: F403  settings are names
from config.settings.base import (
    BASE_DIR,
    INSTALLED_APPS,
    LOGGING,
    STORAGES,
    THROTTLE_RATES,
    database,
    env,
    redis,
)

DATA_DIR = (BASE_DIR / env.str("HOLDFAST_BENCH_DATA", "var/bench")).resolve()
_embedded = urls(DATA_DIR)
DATABASES = {"default": database(env.str("DATABASE_URL", _embedded.database_url))}
CACHES, CELERY_BROKER_URL = redis(env.str("REDIS_URL", _embedded.redis_url))

DEBUG = False
ROOT_URLCONF = "tests.benchmarks.urls"
INSTALLED_APPS = [*INSTALLED_APPS, "tests.benchmarks.ceilings"]
THROTTLE_RATES = dict.fromkeys(THROTTLE_RATES, 1_000_000_000)
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
STATIC_ROOT = DATA_DIR / "static"
PROOF_ROOT = DATA_DIR / "proofs"
STORAGES["proofs"]["OPTIONS"]["location"] = str(PROOF_ROOT)
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
LOGGING["root"]["level"] = "WARNING"
