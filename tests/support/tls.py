"""A server that speaks TLS, if a binary on this machine can, and certificates for it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.support.redis_server import RedisServer, ServerMissingError, find_binary, free_port


@dataclass
class Certificates:
    """Files of a certificate authority, and of a certificate it gave to 127.0.0.1."""

    authority: str
    certificate: str
    key: str


def make_certificates(folder: Path) -> Certificates:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    files = Certificates(*(str(folder / name) for name in ("ca.pem", "server.pem", "server.key")))
    authority.cert_pem.write_to_path(files.authority)
    issued.cert_chain_pems[0].write_to_path(files.certificate)
    issued.private_key_pem.write_to_path(files.key)
    return files


def kind_with_tls(certificates: Certificates) -> str | None:
    """A kind of server that can do TLS."""
    for kind in ("valkey", "redis6", "redis7"):
        try:
            binary = find_binary(kind)
        except ServerMissingError:
            continue
        # With TLS compiled in, a certificate that is missing is what it complains of.
        arguments = [binary, "--port", "0", "--tls-port", "1", "--tls-cert-file", "/nonexistent"]
        run = subprocess.run(arguments, capture_output=True, text=True, timeout=10, check=False)
        if "/nonexistent" in run.stdout + run.stderr and "Bad directive" not in run.stderr:
            return kind
    return None


@contextmanager
def tls_server(certificates: Certificates, kind: str) -> Iterator[tuple[RedisServer, int]]:
    """The server, and the port on which it speaks TLS and asks for a client's certificate."""
    port = free_port()
    config = ("--tls-port", str(port), "--tls-cert-file", certificates.certificate)
    config += ("--tls-key-file", certificates.key, "--tls-ca-cert-file", certificates.authority)
    with RedisServer(kind, config=config) as server:
        yield server, port
