"""A network that takes a millisecond longer: a TCP proxy in a process of its own, which holds replies back.

Each chunk from the server is passed on after the delay; chunks to the server are passed on at once. So a
round trip takes exactly the delay longer. The proxy is written close to the system calls, because it must
cost less for each chunk than a client does: `python -m benchmarks --only network` measures its cost without a
delay.
"""

import multiprocessing
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from urllib.parse import urlsplit, urlunsplit

_METHOD = multiprocessing.get_context("spawn")
_CHUNK_BYTES = 1 << 18


@contextmanager
def slowed(url: str, delay_seconds: float) -> Iterator[str]:
    """Run the proxy, and yield the address that reaches the server through it."""
    parts = urlsplit(url)
    ours, theirs = _METHOD.Pipe()
    arguments = (theirs, (parts.hostname, parts.port), delay_seconds)
    process = _METHOD.Process(target=_serve, args=arguments, daemon=True)
    process.start()
    try:
        yield urlunsplit(parts._replace(netloc=f"127.0.0.1:{ours.recv()}"))
    finally:
        process.kill()
        process.join()


def _serve(pipe: Connection, server: tuple[str, int], delay_seconds: float) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        pipe.send(listener.getsockname()[1])
        _Proxy(listener, server, delay_seconds).run()


class _Proxy:
    def __init__(self, listener: socket.socket, server: tuple[str, int], delay_seconds: float) -> None:
        self._listener, self._server, self._delay = listener, server, delay_seconds
        self._epoll = select.epoll()
        self._epoll.register(listener, select.EPOLLIN)
        #: By descriptor: an end, the other end of the connection, and whether the end is the server's.
        self._ends: dict[int, tuple[socket.socket, socket.socket, bool]] = {}
        #: Due time, receiver and content of each chunk that is held back.
        self._held: deque[tuple[float, socket.socket, bytes]] = deque()

    def run(self) -> None:
        """Pass chunks on until the process ends."""
        while True:
            self._wait()
            for descriptor, _ in self._epoll.poll(0):
                if descriptor == self._listener.fileno():
                    self._accept()
                elif descriptor in self._ends:
                    self._pass_on(descriptor)
            now = time.monotonic()
            while self._held and self._held[0][0] <= now:
                _, end, chunk = self._held.popleft()
                _send(end, chunk)

    def _wait(self) -> None:
        """Wait until a chunk arrives or is due. `select` is used because `epoll` counts in whole
        milliseconds."""
        wait = max(0.0, self._held[0][0] - time.monotonic()) if self._held else None
        select.select([self._epoll], (), (), wait)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(self._server)
        for end, other, is_server in ((client, server, False), (server, client, True)):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._ends[end.fileno()] = end, other, is_server
            self._epoll.register(end, select.EPOLLIN)

    def _pass_on(self, descriptor: int) -> None:
        end, other, is_server = self._ends[descriptor]
        try:
            chunk = end.recv(_CHUNK_BYTES)
        except OSError:
            chunk = b""
        if not chunk:
            self._close(end, other)
        elif is_server and self._delay:
            self._held.append((time.monotonic() + self._delay, other, chunk))
        else:
            _send(other, chunk)

    def _close(self, *ends: socket.socket) -> None:
        for end in ends:
            del self._ends[end.fileno()]
            self._epoll.unregister(end)
            end.close()


def _send(end: socket.socket, chunk: bytes) -> None:
    try:
        end.sendall(chunk)
    except OSError:  # closed meanwhile; the read of this end notices
        return
