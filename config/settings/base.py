"""Settings shared by every way to run Holdfast. Everything that differs comes from the
environment; docs/configuration.md lists it all."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
import structlog
from django.templatetags.static import static

from audit.observability.logs import without_values

BASE_DIR = Path(__file__).resolve().parent.parent.parent
env = environ.Env()

DEFAULT_SECRET = "insecure-default-for-demo-and-tests-only"  # noqa: S105  production refuses it
SECRET_KEY = env.str("SECRET_KEY", DEFAULT_SECRET)
# Check-in codes are derived with this key; changing it makes printed QR codes invalid.
CHECK_IN_KEY = env.str("CHECK_IN_KEY", SECRET_KEY)
DEBUG = False
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])
PUBLIC_URL = env.str("PUBLIC_URL", "http://127.0.0.1:8000")
# Networks whose X-Forwarded-For and X-Request-Id are believed.
TRUSTED_PROXIES: list[str] = env.list("TRUSTED_PROXIES", default=[])

INSTALLED_APPS = [
    "config.apps.HoldfastConfig",
    "unfold.apps.BasicAppConfig",  # leaves the site to config.apps.HoldfastAdminConfig
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.simple_history",
    "config.apps.HoldfastAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "simple_history",
    "pgtrigger",
    "allauth",
    "allauth.account",
    "allauth.headless",
    "django_celery_beat",
    "audit",
    "bookings",
    "waitlist",
    "payments",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "audit.context.OriginMiddleware",
    "audit.observability.middleware.AccessLogMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "config.languages.CustomersLanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def database(url: str) -> dict[str, Any]:
    """The default database from its URL, with a pool and limits on every statement.

    PgBouncer in transaction mode is supported: nothing needs a session but the limits, which it
    does not pass on. Give them to the role instead and set DATABASE_SESSION_LIMITS to false
    (docs/operations.md). From 1.21 on it keeps track of prepared statements
    (``max_prepared_statements``); without that, set DATABASE_PREPARED_STATEMENTS to false.
    """
    command = sys.argv[1] if Path(sys.argv[0]).name == "manage.py" and sys.argv[1:] else ""
    settings: dict[str, Any] = environ.Env.db_url_config(url)
    settings["ENGINE"] = "django.db.backends.postgresql"
    options = settings.setdefault("OPTIONS", {})
    options["pool"] = {
        "min_size": 1,
        "max_size": env.int("DATABASE_POOL_SIZE", 16),
        "timeout": env.float("DATABASE_POOL_TIMEOUT", 10),
    }
    if env.bool("DATABASE_SESSION_LIMITS", True):
        # An index on a large table takes longer than any request may.
        longest = 0 if command == "migrate" else env.int("DATABASE_STATEMENT_TIMEOUT_MS", 15_000)
        options["options"] = (
            f"-c statement_timeout={longest}"
            f" -c lock_timeout={env.int('DATABASE_LOCK_TIMEOUT_MS', 10_000)}"
            f" -c idle_in_transaction_session_timeout={0 if command == 'migrate' else 30_000}"
        )
    # Shown in pg_stat_activity, and in the trail for changes nobody put a name to.
    options["application_name"] = f"holdfast {command or Path(sys.argv[0]).name}"[:60].strip()
    # How often a statement comes before PostgreSQL keeps its plan (audit/sql.py); None: never.
    options["prepare_threshold"] = 3 if env.bool("DATABASE_PREPARED_STATEMENTS", True) else None
    settings["DISABLE_SERVER_SIDE_CURSORS"] = True
    settings["ATOMIC_REQUESTS"] = False
    return settings


DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "bookings.User"
AUTHENTICATION_BACKENDS = [
    "bookings.permissions.MembershipBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

# Sign-up and sign-in for the API (django-allauth headless, "app" client).
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = env.str("ACCOUNT_EMAIL_VERIFICATION", "optional")
ACCOUNT_ADAPTER = "config.accounts.AccountAdapter"
ACCOUNT_SIGNUP_FORM_CLASS = "config.accounts.SignUpForm"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
HEADLESS_ONLY = True
HEADLESS_CLIENTS = ("app",)
HEADLESS_SERVE_SPECIFICATION = False
HEADLESS_FRONTEND_URLS = {  # where the mails lead: config/account_pages.py
    "account_confirm_email": PUBLIC_URL.rstrip("/") + "/account/verify-email/{key}/",
    "account_reset_password": PUBLIC_URL.rstrip("/") + "/account/password/forgot/",
    "account_reset_password_from_key": PUBLIC_URL.rstrip("/")
    + "/account/password/reset/key/{key}/",
    "account_signup": PUBLIC_URL,  # apps have sign-up, so no mail of ours says this address
}

SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = int(timedelta(days=14).total_seconds())

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
FORMAT_MODULE_PATH = ["config.formats"]
LOCALE_PATHS = [BASE_DIR / "config" / "locale"]
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "var" / "static"
STATICFILES_DIRS = [BASE_DIR / "config" / "static"]
# Proofs of payment: private, never under a public URL.
PROOF_ROOT = Path(env.str("PROOF_ROOT", str(BASE_DIR / "var" / "proofs")))
STORAGES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    "proofs": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": str(PROOF_ROOT),
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
}
PROOF_MAX_BYTES = env.int("PROOF_MAX_BYTES", 10 * 1024 * 1024)
PROOF_MAX_PIXELS = env.int("PROOF_MAX_PIXELS", 40_000_000)
PROOF_MAX_PAGES = env.int("PROOF_MAX_PAGES", 20)
PROOF_QUOTA_BYTES = env.int("PROOF_QUOTA_BYTES", 100 * 1024 * 1024)  # per customer and 30 days
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_PERMISSIONS = 0o600

EMAIL_TIMEOUT = 10
EMAIL_FILE_PATH = str(BASE_DIR / "var" / "mail")  # where mails go as files, in the demo
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "Holdfast <bookings@example.com>")
ADMIN_ALERT_EMAILS: list[str] = env.list("ADMIN_ALERT_EMAILS", default=[])

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "bookings.api.authentication.SessionTokenAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["audit.api.parsers.JsonParser"],
    "DEFAULT_SCHEMA_CLASS": "config.schema.HoldfastSchema",
    "DEFAULT_THROTTLE_CLASSES": ["config.throttling.UserThrottle"],
    "EXCEPTION_HANDLER": "config.api.problem_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
# Requests per minute, per user (per address when signed out).
THROTTLE_RATES = {
    "anonymous": env.int("THROTTLE_ANONYMOUS", 120),
    "read": env.int("THROTTLE_READ", 600),
    "write": env.int("THROTTLE_WRITE", 120),
    "upload": env.int("THROTTLE_UPLOAD", 20),
    "check_in": env.int("THROTTLE_CHECK_IN", 300),
}

CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SOFT_TIME_LIMIT = 90
CELERY_TASK_TIME_LIMIT = 120
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "config.beat:Scheduler"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    "unacked_restore_interval": 5,
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
}
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True  # they are sent again
CELERY_TASK_PUBLISH_RETRY = False  # a kick is a hint; the sweep is the promise
CELERY_WORKER_HIJACK_ROOT_LOGGER = False


def redis(url: str, broker: str = "") -> tuple[dict[str, Any], str]:
    """Cache settings and broker URL for one Redis or Valkey, over TCP or a Unix socket."""
    cache = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": url,
            "KEY_PREFIX": "holdfast",
            "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
        }
    }
    if not broker:
        broker = url
        if url.startswith("unix://"):
            path, _, query = url.removeprefix("unix://").partition("?")
            number = dict(p.split("=") for p in query.split("&") if "=" in p).get("db", "0")
            broker = f"redis+socket://{path}?virtual_host={number}"
    return cache, broker


SPECTACULAR_SETTINGS = {
    "TITLE": "Holdfast API",
    "DESCRIPTION": "Hold, check out, pay, get confirmed, check in.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "BookingStatus": "bookings.lifecycle.BookingStatus",
        "SlotStatus": "bookings.lifecycle.SlotStatus",
        "TransactionStatus": "payments.lifecycle.TransactionStatus",
        "ProofStatus": "payments.lifecycle.ProofStatus",
        "LatePaymentStatus": "payments.lifecycle.LateStatus",
        "PaymentStatus": "payments.lifecycle.PaymentStatus",
        "PaymentMethod": "payments.lifecycle.PaymentMethod",
        "RefundStatus": "payments.lifecycle.RefundStatus",
        "RefundWay": "payments.lifecycle.RefundWay",
        "ResourceKind": "bookings.models.resource.Resource.Kind",
        "WaitlistStatus": "waitlist.lifecycle.EntryStatus",
        "Role": "bookings.models.organization.Role",
        "CheckInStatus": ["checked_in"],
    },
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.schema.add_shared_parts",
    ],
}

PGTRIGGER_MIGRATIONS = True
SIMPLE_HISTORY_DATE_INDEX = False

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_HTTPONLY = False

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.processors.JSONRenderer(),
            "foreign_pre_chain": [
                structlog.contextvars.merge_contextvars,
                structlog.processors.TimeStamper(fmt="iso"),
                structlog.stdlib.add_logger_name,
                structlog.stdlib.add_log_level,
                without_values,
                structlog.processors.format_exc_info,
            ],
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", "INFO")},
    "loggers": {"django.server": {"level": "WARNING"}, "django.request": {"level": "ERROR"}},
}
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.filter_by_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.StackInfoRenderer(),
        without_values,
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)

# The staff's site; config/admin has its pages.
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Holdfast",
    "SITE_HEADER": "Holdfast",
    "SITE_SUBHEADER": "Bookings that hold",
    "SITE_SYMBOL": "anchor",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: static("holdfast/favicon.svg"),
        }
    ],
    "SITE_URL": None,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "6px",
    "DASHBOARD_CALLBACK": "config.admin.dashboard.dashboard",
    "LOGIN": {"form": "config.admin.sign_in.SignInForm"},
    "STYLES": [lambda request: static("holdfast/admin.css")],
    "SCRIPTS": [lambda request: static("holdfast/admin.js")],
    "COMMAND": {"search_models": False, "show_history": False},
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,
        "navigation": "config.admin.navigation.sidebar",
    },
    "COLORS": {
        "primary": {
            "50": "oklch(96.9% .016 220)",
            "100": "oklch(93.6% .035 220)",
            "200": "oklch(87.6% .065 222)",
            "300": "oklch(79.5% .095 224)",
            "400": "oklch(69.5% .115 227)",
            "500": "oklch(60% .118 231)",
            "600": "oklch(51% .109 236)",
            "700": "oklch(44% .094 238)",
            "800": "oklch(38% .078 240)",
            "900": "oklch(33% .064 242)",
            "950": "oklch(25% .05 244)",
        }
    },
}
