"""Problems of HTTP itself, declared like every other so that the list of codes is complete."""

from audit.errors import DomainError


class NotAuthenticated(DomainError):
    """Sign in first: send X-Session-Token."""

    code = "not_authenticated"
    status = 401


class AuthenticationFailed(DomainError):
    """This session is unknown or has ended; sign in again."""

    code = "authentication_failed"
    status = 401


class Malformed(DomainError):
    """This is no request that can be read."""

    code = "malformed"
    status = 400


class MethodNotAllowed(DomainError):
    """This method does not work here."""

    code = "method_not_allowed"
    status = 405


class UnsupportedMediaType(DomainError):
    """Send this as another media type."""

    code = "unsupported_media_type"
    status = 415


class TooLarge(DomainError):
    """This request is too large."""

    code = "too_large"
    status = 413


class Throttled(DomainError):
    """Too many requests; wait as long as Retry-After says."""

    code = "throttled"
    status = 429


class Internal(DomainError):
    """Something went wrong in Holdfast. Quote the request id when you ask about it."""

    code = "internal"
    status = 500
