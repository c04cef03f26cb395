"""`make demo`: everything on one machine, embedded unless DATABASE_URL / REDIS_URL are set."""

from pathlib import Path

from config.embedded import urls
from config.settings.base import *
from config.settings.base import BASE_DIR, STORAGES, database, env, redis

DATA_DIR = Path(env.str("HOLDFAST_DATA", str(BASE_DIR / "var" / "demo")))
_embedded = urls(DATA_DIR)
DATABASES = {"default": database(env.str("DATABASE_URL", _embedded.database_url))}
CACHES, CELERY_BROKER_URL = redis(env.str("REDIS_URL", _embedded.redis_url))

EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = str(DATA_DIR / "mail")
PROOF_ROOT = Path(env.str("PROOF_ROOT", str(DATA_DIR / "proofs")))
STORAGES["proofs"]["OPTIONS"]["location"] = str(PROOF_ROOT)
STORAGES["staticfiles"] = {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"}
WHITENOISE_USE_FINDERS = True
ADMIN_ALERT_EMAILS = ["admin@holdfast.example"]
