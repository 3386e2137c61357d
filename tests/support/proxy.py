"""A small TCP proxy between a client and a server, which loses, holds and cuts on purpose.

It counts *calls*: chunks from the client that carry an EVAL or EVALSHA. (A client's handshake is none.)
"""

import asyncio
from dataclasses import dataclass
from typing import Self


@dataclass
class _Link:
    """What one connection through the proxy is doing."""

    client_port: int
    is_call: bool = False  # rather than a handshake
    loses_reply: bool = False
    holds_reply: bool = False


class Proxy:
    """Listens on a free port of 127.0.0.1 and passes everything on to the server, except as told.

    Args:
        server_port: of the server, on 127.0.0.1.
        source: address that the server sees its connections come from, to tell clients apart there.

    Example:
        >>> async with Proxy(server.port) as proxy:
        ...     proxy.lose_reply_of_call(1)
        ...     await SessionManager(redis.Redis(port=proxy.port)).create_session("ann", "chatbot")
    """

    def __init__(self, server_port: int, source: str = "127.0.0.1") -> None:
        self._server_port = server_port
        self._source = source
        self._lost: set[int] = set()
        self._held: set[int] = set()
        self._torn = 0
        self._unanswered = (b"", 0)
        self._holds_everything = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        #: Calls passed on to the server.
        self.calls = 0
        #: Connections that clients made.
        self.connections = 0

    def takes(self, chunk: bytes, client_port: int) -> bool:
        """Whether the connection breaks before this reaches the server; for subclasses."""
        return False

    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def lose_reply_of_call(self, *numbers: int) -> None:
        """The server acts on these calls, counted from 1; then the connection breaks before the reply."""
        self._lost.update(numbers)

    def tear_replies(self, count: int) -> None:
        """Of each of the next so many replies, the first half arrives; then the connection breaks."""
        self._torn = count

    def lose_replies_to(self, text: bytes, count: int) -> None:
        """The server acts on the next so many requests with this in them; then each connection breaks before
        the reply.
        """
        self._unanswered = (text, count)

    def hold_replies(self) -> None:
        """Keeps the replies to all calls back until `release_replies`."""
        self._held.clear()
        self._open.clear()

    def hold_reply_of_call(self, number: int) -> None:
        """Keeps the reply to this call back until `release_replies`; other connections go on."""
        self._open.clear()
        self._held.add(number)

    def hold_everything(self) -> None:
        """Keeps back whatever the server says, until `release_replies`."""
        self._holds_everything = True
        self._open.clear()

    def release_replies(self) -> None:
        self._holds_everything = False
        self._open.set()

    def lead_to(self, server_port: int) -> None:
        """Lead new connections to another server, as an address does after a fail-over. Open ones stay."""
        self._server_port = server_port

    def refuse_connections(self) -> None:
        """New connections are refused from now on; those that are open stay so."""
        self._listener.close()

    def cut_connections(self) -> None:
        """Breaks all connections; new ones are accepted."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._listener.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open.set()
        self._listener.close()
        self.cut_connections()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            server_reader, server_writer = await asyncio.open_connection(
                "127.0.0.1", self._server_port, local_addr=(self._source, 0)
            )
        except OSError:  # the server is down
            writer.transport.abort()
            return
        self._writers |= {writer, server_writer}
        link = _Link(int(writer.get_extra_info("peername")[1]))
        pumps = [
            asyncio.create_task(self._pump_calls(reader, server_writer, link)),
            asyncio.create_task(self._pump_replies(server_reader, writer, link)),
        ]
        self._tasks.update(pumps)
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, server_writer):
            end.transport.abort()
            self._writers.discard(end)

    async def _pump_calls(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link
    ) -> None:
        try:
            while chunk := await reader.read(1 << 20):
                if self.takes(chunk, link.client_port):
                    return
                link.is_call = b"EVAL" in chunk
                if link.is_call:
                    self.calls += 1
                    link.loses_reply = self.calls in self._lost
                text, count = self._unanswered
                if count and text in chunk:
                    self._unanswered = (text, count - 1)
                    link.loses_reply = True
                link.holds_reply = link.is_call and (not self._held or self.calls in self._held)
                writer.write(chunk)
                await writer.drain()
        except ConnectionError:
            return

    async def _pump_replies(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link
    ) -> None:
        try:
            while chunk := await reader.read(1 << 20):
                if link.loses_reply:
                    return
                if link.holds_reply or self._holds_everything:
                    await self._open.wait()
                if self._torn:
                    self._torn -= 1
                    writer.write(chunk[: len(chunk) // 2])
                    await writer.drain()
                    return
                writer.write(chunk)
                await writer.drain()
        except ConnectionError:
            return
