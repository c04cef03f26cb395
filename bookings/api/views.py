"""The base of the views under ``/api/v1/organizations/{org}/``."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request

from audit.api.views import ApiView
from audit.context import Actor
from audit.errors import Forbidden, NotFound
from bookings import selectors
from bookings.api.authentication import SignIn
from bookings.models import User
from bookings.selectors import Viewer


def signed_in(request: Request) -> User:
    """The person; every view here has one."""
    assert isinstance(request.user, User)
    return request.user


class OrganizationView(ApiView):
    """A view inside one organisation; ``viewer`` says what the signed-in person is in it."""

    viewer: Viewer

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Sign in, throttle, and find the organisation.

        Raises:
            NotFound: there is no such organisation, or it is not active.
        """
        super().initial(request, *args, **kwargs)
        if isinstance(request.auth, SignIn):
            viewer = request.auth.viewer  # read together with the user
        else:
            viewer = selectors.viewer(signed_in(request), kwargs["org"])
        if viewer is None:
            raise NotFound("There is no such organisation.")
        self.viewer = viewer

    @property
    def actor(self) -> Actor:
        return self.viewer.actor

    def need(self, permission: str) -> None:
        """Raise Forbidden unless the person may do ``permission`` in this organisation."""
        if not self.viewer.may(permission):
            raise Forbidden
