"""The rights of users of the server, as docs/security.md gives them, and those that clients really use."""

import base64
import json
import re
import threading
from collections import defaultdict
from pathlib import Path
from typing import Self

import redis

from tests.support.processes import ROOT
from tests.support.redis_server import RedisServer

_BLOCK = re.compile(r"```acl\n(.*?)```", re.DOTALL)

#: Commands with subcommands that have rights of their own.
_CONTAINERS = {"CLIENT", "MEMORY", "SCRIPT"}

#: What every connection may do before it has any right, and what redis-py does without if it is refused.
_FREE = {"AUTH", "HELLO", "QUIT", "RESET", "CLIENT"}

_LAST_COMMAND = "last command of the watch"


def rights_in(page: Path = ROOT / "docs" / "security.md") -> dict[str, list[str]]:
    """The rules of each user."""
    users = [block.split() for block in _BLOCK.findall(page.read_text())]
    return {words[1]: words[2:] for words in users}


def commands_in(rules: list[str]) -> set[str]:
    """The commands that rules allow, as in `script|load`."""
    return {rule[1:] for rule in rules if rule.startswith("+")}


def create_user(client: redis.Redis, name: str, rules: list[str], namespace: str) -> None:
    """Creates the user with these rules, for a namespace other than that of the page."""
    words = [rule.replace("~agent_sessions:", f"~{namespace}:") for rule in rules]
    client.execute_command("ACL", "SETUSER", name, "reset", *words)


class Watch:
    """Sees every command that reaches a server, and by which address it was sent.

    Example:
        >>> with Watch(server) as watch:
        ...     use(server)
        >>> watch.commands["127.0.0.2"]
        {'EVALSHA', 'HSET'}
    """

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self.commands: dict[str, set[str]] = defaultdict(set)
        #: Names of keys and channels are among them.
        self.words: dict[str, set[str]] = defaultdict(set)

    def __enter__(self) -> Self:
        self._client = self._server.client(socket_timeout=None)
        self._thread = threading.Thread(target=self._watch)
        self._watching = threading.Event()
        self._thread.start()
        assert self._watching.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        with self._server.client() as client:
            client.echo(_LAST_COMMAND)
        self._thread.join(30)
        self._client.close()

    def _watch(self) -> None:
        with self._client.monitor() as monitor:
            self._watching.set()
            sender = ""
            for seen in monitor.listen():
                if _LAST_COMMAND in seen["command"]:
                    return
                # What a script runs comes behind the call of that script.
                sender = sender if seen["client_type"] == "lua" else seen["client_address"]
                if (command := _command_of(seen["command"])) is not None:
                    self.commands[sender].add(command)
                    self.words[sender].update(seen["command"].split(" ")[1:])


def _command_of(words: str) -> str | None:
    first, *others = words.upper().split(" ", 2)
    if first in _FREE and others[:1] != ["TRACKING"]:
        return None
    return f"{first}|{others[0]}".lower() if first in _CONTAINERS else first.lower()


#: A message as Celery writes it, for a task that finds nothing to do.
_MESSAGE = {
    "body": base64.b64encode(
        b'[[], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'
    ).decode(),
    "content-encoding": "utf-8",
    "content-type": "application/json",
    "headers": {"lang": "py", "task": "tasks.resume_stalled_jobs", "id": "left", "root_id": "left"},
    "properties": {
        "correlation_id": "left",
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": "maintenance"},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": "left",
    },
}


def leave_behind(broker: redis.Redis) -> None:
    """What a client of the broker leaves that was killed long ago: a message and a binding. The next client
    clears both away.
    """
    broker.hset("unacked", "left", json.dumps([_MESSAGE, "", "maintenance"]))
    broker.zadd("unacked_index", {"left": 1})
    broker.zadd("_kombu.binding_deadlines", {"left": 1})


def is_cleared(broker: redis.Redis) -> bool:
    """Whether what was left behind is gone."""
    in_bindings = broker.zscore("_kombu.binding_deadlines", "left")
    return in_bindings is None and broker.zscore("unacked_index", "left") is None
