"""Addresses of broker and results for Celery, from our settings. No password is shown."""

import ssl
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from agent_runtime.manager import SettingsError

#: Names of redis-py and Celery for the check of a server's certificate.
_CERTIFICATE_CHECKS = {
    "required": ssl.CERT_REQUIRED,
    "optional": ssl.CERT_OPTIONAL,
    "none": ssl.CERT_NONE,
}


class CeleryUrl(str):
    """An address whose `repr` leaves the password out, since the `repr` of Celery's settings shows all."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(without_password(self))


def without_password(url: str) -> str:
    """Return an address that may be shown: no user, no password, nothing of what follows a `?`."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    # Behind redis+socket:// the credentials are part of a path.
    return f"{parts.scheme}://{host}{parts.path.rpartition('@')[2]}"


def next_database(redis_url: str, offset: int) -> str:
    """Return the address of the same server for Celery, with a database of its own.

    Of the parameters that redis-py takes behind the `?`, Celery understands only those of TLS; it would take
    any other for an argument of its own and fail.

    Example:
        >>> next_database("redis://localhost:6379/0", 1)
        'redis://localhost:6379/1'
    """
    url = urlsplit("")
    with suppress(SettingsError):
        url = split("AGENT_SESSIONS_REDIS_URL", redis_url)
    query = dict(parse_qsl(url.query))
    path = unquote(url.path).strip("/") if url.scheme in ("redis", "rediss") else ""
    database = query.get("db") or path or "0"
    is_number = database.isascii() and database.isdigit() and len(database) < 10
    if url.scheme not in ("redis", "rediss", "unix") or not is_number:
        raise SettingsError(
            "AGENT_SESSIONS_REDIS_URL must be redis://, rediss:// or unix:// with a database number; if"
            " Celery uses another server, set AGENT_SESSIONS_BROKER_URL and AGENT_SESSIONS_RESULT_BACKEND"
        )
    number = int(database) + offset
    if url.scheme == "unix":
        user, password = query.get("username", ""), query.get("password", "")
        credentials = url.netloc.rpartition("@")[0] or (f"{user}:{password}" if password else "")
        place = f"{credentials}@{url.path}" if credentials else url.path
        return f"redis+socket://{place}?virtual_host={number}"
    tls = {name: value for name, value in query.items() if name.startswith("ssl_")}
    return urlunsplit(url._replace(path=f"/{number}", query=urlencode(tls)))


def split_tls(variable: str, url: str) -> tuple[CeleryUrl, dict[str, Any] | None]:
    """Return an address without its parameters of TLS, and these parameters as Celery takes them, or None.

    Left in the address, the password of a key would be shown with it, and Flower would not see the rest.

    Raises:
        SettingsError: the text is no address; the message names the variable and shows nothing of the text.
    """
    parts = split(variable, url)
    database = parts.path.strip("/")
    if "://" not in url or (parts.scheme in ("redis", "rediss") and database and not database.isdecimal()):
        # Celery would take the first for a host of AMQP, the second for a queue's name, and show it.
        raise SettingsError(f"{variable} must be like redis://host:6379/1, with a number behind the host")
    if parts.scheme != "rediss":
        return CeleryUrl(url), None
    query = dict(parse_qsl(parts.query))
    tls: dict[str, Any] = {name: query.pop(name) for name in list(query) if name.startswith("ssl_")}
    check = tls.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    if check not in _CERTIFICATE_CHECKS:
        raise SettingsError(f"{variable}: ssl_cert_reqs must be one of {', '.join(_CERTIFICATE_CHECKS)}")
    tls["ssl_cert_reqs"] = _CERTIFICATE_CHECKS[check]
    if "ssl_check_hostname" in tls:
        tls["ssl_check_hostname"] = tls["ssl_check_hostname"].lower() not in ("false", "0", "no")
    return CeleryUrl(urlunsplit(parts._replace(query=urlencode(query)))), tls


def split(variable: str, url: str) -> SplitResult:
    """Return the parts of an address whose port is a number.

    Raises:
        SettingsError: the text is no address. (The original error might show a part of a password.)
    """
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.port != -1:  # reading it is what fails
            return parts
    raise SettingsError(
        f"{variable} must be an address like redis://user:password@host:6379/0, with a password's special"
        " characters written as %23 and so on"
    )
