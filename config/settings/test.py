"""`make test`: the same code paths as production, on throw-away servers."""

import os

from config.embedded import urls
from config.settings.base import *
from config.settings.base import BASE_DIR, STORAGES, database, env, redis

# Each xdist worker has its own database (pytest-django names it) and its own Redis database.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
# Two runs at once need two folders: HOLDFAST_TEST_DATA=var/other make test
DATA_DIR = (BASE_DIR / env.str("HOLDFAST_TEST_DATA", "var/test")).resolve()
_embedded = urls(DATA_DIR)
DATABASES = {"default": database(env.str("DATABASE_URL", _embedded.database_url))}
CACHES, CELERY_BROKER_URL = redis(
    env.str("REDIS_URL", _embedded.redis_url.replace("db=0", f"db={WORKER}"))
)
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
PROOF_ROOT = DATA_DIR / f"proofs-{WORKER}"
STORAGES["proofs"]["OPTIONS"]["location"] = str(PROOF_ROOT)
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
ALLOWED_HOSTS = ["*"]
THROTTLE_RATES = dict.fromkeys(THROTTLE_RATES, 1_000_000)
LOGGING["root"]["level"] = "CRITICAL"
