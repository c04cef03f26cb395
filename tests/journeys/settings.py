"""The settings of the processes that a journey starts: those of tests, with a real mail server."""

import os
from pathlib import Path

from config.settings.test import *  # noqa: F403
from config.settings.test import LOGGING, STORAGES

EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = "127.0.0.1"
EMAIL_PORT = int(os.environ["JOURNEY_EMAIL_PORT"])
PROOF_ROOT = Path(os.environ["JOURNEY_PROOF_ROOT"])
STORAGES["proofs"]["OPTIONS"]["location"] = str(PROOF_ROOT)
LOGGING["root"]["level"] = "INFO"
