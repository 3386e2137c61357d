"""Flower with safe defaults: `celery -A agent_runtime flower` runs this one.

- It listens on 127.0.0.1 unless told otherwise, and on another address only with authentication.
- It takes user and password from `AGENT_SESSIONS_FLOWER_BASIC_AUTH`, and no secret from its command line,
  which every user of the machine can read.
- Its HTTP API, which can shut workers down and send tasks, is off unless `AGENT_SESSIONS_FLOWER_API` is set.
- With a password, every page asks for it, `/metrics` and `/healthcheck` too.

Upstream: mher/flower#916 (listens on all interfaces; closed, as that is wanted), mher/flower#1342 (`/metrics`
    is open if a password is set; closed, and the documentation exempts `/metrics` and `/healthcheck`).
Seen with: flower 2.2.0
Remove when: flower > 2.2 listens on loopback by default and asks for the password on every page.
"""

import ipaddress
import os
import sys
from typing import Any

import flower.command
from flower.api import BaseApiHandler
from flower.app import Flower
from flower.views.error import NotFoundErrorHandler
from flower.views.monitor import Healthcheck, Metrics
from tornado.web import authenticated

from agent_runtime.manager import Settings, SettingsError, load_settings

#: Options that must not be on a command line.
_SECRET_OPTIONS = {"basic_auth", "oauth2_secret", "cookie_secret"}


def install() -> None:
    """Have Flower's command run the guarded Flower."""
    flower.command.Flower = GuardedFlower


class GuardedFlower(Flower):  # type: ignore[misc]
    """Flower with safe defaults; ends the process with one line if its options are unsafe."""

    def __init__(self, *, options: Any, **arguments: Any) -> None:
        settings = load_settings()
        try:
            _harden(options, settings)
        except SettingsError as error:
            raise SystemExit(f"agent-sessions cannot start Flower: {error}") from None
        self._has_api = settings.flower_api
        super().__init__(options=options, **arguments)

    def get_handler_delegate(
        self, request: Any, target_class: type, *places: Any, **named_places: Any
    ) -> Any:
        if issubclass(target_class, BaseApiHandler) and not self._has_api:
            return super().get_handler_delegate(request, NotFoundErrorHandler)
        target_class = _AUTHENTICATED.get(target_class, target_class)
        return super().get_handler_delegate(request, target_class, *places, **named_places)


class _AuthenticatedMetrics(Metrics):  # type: ignore[misc]
    get = authenticated(Metrics.get)


class _AuthenticatedHealthcheck(Healthcheck):  # type: ignore[misc]
    get = authenticated(Healthcheck.get)


#: Pages that ask for the password, in place of Flower's own.
_AUTHENTICATED = {Metrics: _AuthenticatedMetrics, Healthcheck: _AuthenticatedHealthcheck}


def _harden(options: Any, settings: Settings) -> None:
    """Make the options safe.

    Raises:
        SettingsError: they would let anybody in.
    """
    typed = {argument.lstrip("-").partition("=")[0].replace("-", "_") for argument in sys.argv[1:]}
    if shown := sorted(typed & _SECRET_OPTIONS):
        raise SettingsError(
            f"--{shown[0]} on the command line shows a secret to every user of this machine; set"
            " AGENT_SESSIONS_FLOWER_BASIC_AUTH (or Flower's own environment variable) instead"
        )
    if settings.flower_basic_auth is not None:
        options.basic_auth = [settings.flower_basic_auth.get_secret_value()]
    options.address = options.address or "127.0.0.1"
    options.read_only = options.read_only or not settings.flower_api
    if options.basic_auth or options.auth:
        return
    if not _is_loopback(options.address):
        raise SettingsError(
            f"anybody could reach it on {options.address}; set AGENT_SESSIONS_FLOWER_BASIC_AUTH to"
            " user:password, or let it listen on 127.0.0.1"
        )
    if settings.flower_api or os.environ.get("FLOWER_UNAUTHENTICATED_API"):
        raise SettingsError(
            "its API, which can shut workers down and send tasks, needs authentication; set"
            " AGENT_SESSIONS_FLOWER_BASIC_AUTH to user:password, and unset FLOWER_UNAUTHENTICATED_API"
        )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:  # a name
        return address == "localhost"
