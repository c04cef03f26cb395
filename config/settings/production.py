"""Production: refuses to start on a default secret or without its own servers."""

from django.core.exceptions import ImproperlyConfigured

from config.settings.base import *
from config.settings.base import CHECK_IN_KEY, DEFAULT_SECRET, SECRET_KEY, database, env, redis

for _name, _value in (("SECRET_KEY", SECRET_KEY), ("CHECK_IN_KEY", CHECK_IN_KEY)):
    if _value == DEFAULT_SECRET or _value.startswith("insecure") or len(_value) < 50:
        raise ImproperlyConfigured(
            f"{_name} must be set to a secret of at least 50 characters:"
            " python -c 'import secrets; print(secrets.token_urlsafe(50))'"
        )
if SECRET_KEY == CHECK_IN_KEY:
    raise ImproperlyConfigured(
        "CHECK_IN_KEY must differ from SECRET_KEY, so that either can change"
    )
for _name in ("DATABASE_URL", "REDIS_URL", "ALLOWED_HOSTS", "PUBLIC_URL"):
    if not env.str(_name, ""):
        raise ImproperlyConfigured(f"{_name} must be set; docs/configuration.md says how")

DATABASES = {"default": database(env.str("DATABASE_URL"))}
CACHES, CELERY_BROKER_URL = redis(env.str("REDIS_URL"), env.str("BROKER_URL", ""))
EMAIL_CONFIG = env.email("EMAIL_URL", default="smtp://localhost:25")
vars().update(EMAIL_CONFIG)

# Then a sign-up does not tell who has an account already.
ACCOUNT_EMAIL_VERIFICATION = env.str("ACCOUNT_EMAIL_VERIFICATION", "mandatory")
if ACCOUNT_EMAIL_VERIFICATION not in ("mandatory", "optional"):
    raise ImproperlyConfigured("ACCOUNT_EMAIL_VERIFICATION must be mandatory or optional")

SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", True)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", 31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
