"""A server that speaks TLS, if a binary on this machine can, and certificates for it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
import trustme

from tests.support.redis_server import RedisServer, ServerMissingError, find_binary, free_port

_HERE = ("127.0.0.1", "localhost")


@dataclass
class Certificates:
    """Files of a certificate authority, and of a certificate that it issued."""

    authority: str
    certificate: str
    key: str

    def query(self) -> str:
        """What a client that has these says behind the `?` of an address."""
        files = {"ssl_certfile": self.certificate, "ssl_keyfile": self.key, "ssl_ca_certs": self.authority}
        return urlencode(files)


def make_certificates(
    folder: Path,
    *hosts: str,
    authority: trustme.CA | None = None,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> Certificates:
    """A certificate for these hosts (127.0.0.1), of this authority or of a new one."""
    folder.mkdir(exist_ok=True)
    authority = authority or trustme.CA()
    issued = authority.issue_cert(*hosts or _HERE, not_before=not_before, not_after=not_after)
    files = Certificates(*(str(folder / name) for name in ("ca.pem", "server.pem", "server.key")))
    authority.cert_pem.write_to_path(files.authority)
    issued.cert_chain_pems[0].write_to_path(files.certificate)
    issued.private_key_pem.write_to_path(files.key)
    return files


def kind_with_tls() -> str:
    """A kind of server that can do TLS. Without one, the test is skipped; in CI there must be one."""
    for kind in ("valkey", "redis6", "redis7"):
        try:
            binary = find_binary(kind)
        except ServerMissingError:
            continue
        # With TLS compiled in, a certificate that is missing is what it complains of.
        arguments = [binary, "--port", "0", "--tls-port", "1"]
        for option in ("--tls-cert-file", "--tls-key-file", "--tls-ca-cert-file"):
            arguments += [option, "/nonexistent"]
        run = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
        if "/nonexistent" in run.stdout + run.stderr and "Bad directive" not in run.stderr:
            return kind
    if "CI" in os.environ:
        pytest.fail("no server here can do TLS; Debian's redis-server can")
    pytest.skip("no server here can do TLS; Debian's redis-server can")


@contextmanager
def tls_server(certificates: Certificates, *config: str) -> Iterator[tuple[RedisServer, int]]:
    """The server, and the port on which it speaks TLS and asks for a client's certificate."""
    port = free_port()
    kind = kind_with_tls()
    config += ("--tls-port", str(port), "--tls-cert-file", certificates.certificate)
    config += ("--tls-key-file", certificates.key, "--tls-ca-cert-file", certificates.authority)
    with RedisServer(kind, config=config) as server:
        yield server, port
