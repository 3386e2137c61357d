"""Flower, run as typed, and its pages as a browser or a program gets them."""

import base64
import urllib.error
import urllib.request
from typing import NamedTuple

from tests.support.processes import CeleryProcess
from tests.support.redis_server import free_port


class Page(NamedTuple):
    """What came back."""

    status: int
    text: str


class FlowerProcess(CeleryProcess):
    """`celery -A worker flower` on a free port.

    Args:
        arguments: further ones.
        settings: ours, by field name.
    """

    def __init__(self, *arguments: str, **settings: object) -> None:
        self.port = free_port()
        typed = ("flower", f"--port={self.port}", *arguments)
        super().__init__(*typed, ready="Visit me at", **settings)

    def get(self, path: str, auth: str = "") -> Page:
        """The page, asked for with `auth` as `user:password` where it is given."""
        return self._ask(path, "GET", auth)

    def post(self, path: str, auth: str = "") -> Page:
        """What the page answers to a form without fields."""
        return self._ask(path, "POST", auth)

    def _ask(self, path: str, method: str, auth: str) -> Page:
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, method=method, data=b"" if method == "POST" else None)
        if auth:
            request.add_header("Authorization", "Basic " + base64.b64encode(auth.encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Page(answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Page(error.code, error.read().decode())
