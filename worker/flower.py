"""Flower, let in nobody by mistake: `celery -A worker flower` as typed runs this one.

By itself Flower 2.2 listens on all interfaces without a password, and leaves `/metrics` and `/healthcheck`
open where it has one. Here it

- listens on 127.0.0.1 unless it is told otherwise, and anywhere else only with authentication,
- takes user and password from `AGENT_SESSIONS_FLOWER_BASIC_AUTH`, and none from a command line, which every
  user of the machine can read,
- shows and changes nothing over its HTTP API, which can shut workers down and send tasks, unless
  `AGENT_SESSIONS_FLOWER_API` asks for it,
- asks for the password on every page where it has one.
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

#: What must not be on a command line.
_SECRET_OPTIONS = {"basic_auth", "oauth2_secret", "cookie_secret"}


def install() -> None:
    """Has Flower's command run the guarded Flower."""
    flower.command.Flower = GuardedFlower


class GuardedFlower(Flower):  # type: ignore[misc]
    """Flower with safe defaults; ends the process with one line where its options are unsafe."""

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
        target_class = _ASKING.get(target_class, target_class)
        return super().get_handler_delegate(request, target_class, *places, **named_places)


class _AskingMetrics(Metrics):  # type: ignore[misc]
    get = authenticated(Metrics.get)


class _AskingHealthcheck(Healthcheck):  # type: ignore[misc]
    get = authenticated(Healthcheck.get)


#: Pages that ask for the password, instead of Flower's own.
_ASKING = {Metrics: _AskingMetrics, Healthcheck: _AskingHealthcheck}


def _harden(options: Any, settings: Settings) -> None:
    """Raises `SettingsError` where these options would let somebody in."""
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
            f"it would listen on {options.address} for everybody; set AGENT_SESSIONS_FLOWER_BASIC_AUTH to"
            " user:password, or have it listen on 127.0.0.1"
        )
    if settings.flower_api or os.environ.get("FLOWER_UNAUTHENTICATED_API"):
        raise SettingsError(
            "its API, which can shut workers down and send tasks, needs authentication; set"
            " AGENT_SESSIONS_FLOWER_BASIC_AUTH to user:password, and no FLOWER_UNAUTHENTICATED_API"
        )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:  # a name
        return address == "localhost"
