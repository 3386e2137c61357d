"""All keys of a namespace, read at once, and their comparison with the model."""

import json
from collections import defaultdict
from typing import Any, NamedTuple

import redis

from agent_runtime.manager.keys import INDEX_LINGER_MS
from tests.model.jobs import JobModel, ModelJob
from tests.model.model import ModelSession, expiry_ms
from tests.support.leftovers import chunk_problems

_DUMP = """
local time, found = redis.call('TIME'), {}
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':*')) do
  local kind, held = redis.call('TYPE', key).ok, false
  if kind == 'zset' then
    held = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'hash' then
    held = redis.call('HGETALL', key)
  elseif kind == 'string' then
    held = {redis.call('GET', key)}
  end
  found[#found + 1] = {key, redis.call('PTTL', key), held}
end
return {time[1] * 1000 + math.floor(time[2] / 1000), found}
"""

#: Makes a session expire as if its time were over: Redis drops its keys, and every index that lists the
#: session has it with a score in the past. ARGV: prefix, id, expiry member, user, agent, 1 to have indexes
#: vanish, as they do when all their members have expired.
_RUN_OUT = """
local prefix, id, packed, user, agent, vanish = unpack(ARGV)
local past = redis.call('TIME')[1] * 1000 - 1000
redis.call('UNLINK', prefix .. 's:' .. id, prefix .. 'c:' .. id, prefix .. 'o:' .. id)
redis.call('ZADD', prefix .. 'x', 'XX', past, packed)
local sets = redis.call('KEYS', prefix .. 'revoked:*')
sets[#sets + 1], sets[#sets + 2] = prefix .. 'u:' .. user, prefix .. 'a:' .. agent
for _, set in ipairs(sets) do
  redis.call('ZADD', set, 'XX', past, id)
  if vanish == '1' and redis.call('ZCOUNT', set, past + 1, '+inf') == 0 then
    redis.call('UNLINK', set)
  end
end
return past
"""

#: Most milliseconds by which the server may start a time to live late.
_SLACK_MS = 2_000

_KINDS = {"s", "c", "o", "u", "a", "x", "revoked", "revocations", "jobs", "job", "open", "history", "answer"}
_RECEIPT_KINDS = {"layout", "receipts", "receipt_jobs", "receipt_key"}


class Key(NamedTuple):
    """One key: its time to live (ms), and its fields or members."""

    ttl: int
    held: dict[str, Any]


class Stored:
    """The contents of a namespace, by partition, kind and name."""

    def __init__(self, now_ms: int, found: list[Any]) -> None:
        self.now_ms = now_ms
        self.keys: dict[tuple[int, str], dict[str, Key]] = defaultdict(dict)
        #: Problems of the chunks of checkpoints, by partition and session.
        self.chunks: dict[tuple[int, str], list[str]] = {}
        for key, ttl, flat in found:
            partition, _, rest = key.decode().partition("{")[2].partition("}:")
            kind, _, name = rest.partition(":")
            if kind == "c":
                checkpoints = dict(zip(flat[::2], flat[1::2], strict=True))
                self.chunks[int(partition), name] = chunk_problems(checkpoints)
                flat = [part for each in checkpoints.items() if each[0][:1] != b"\xff" for part in each]
            values = [part.decode() if kind != "c" else part for part in flat]
            held = {"": values[0]} if len(values) == 1 else dict(zip(values[::2], values[1::2], strict=True))
            self.keys[int(partition), kind][name] = Key(ttl, held)

    def members(self, partition: int, kind: str, name: str = "") -> tuple[dict[str, int], set[str]]:
        """Return an index's members that are not due yet, with their scores, and its due members."""
        held = self.keys[partition, kind].get(name, Key(0, {})).held
        scores = {member: int(float(score)) for member, score in held.items()}
        coming = {member: score for member, score in scores.items() if score > self.now_ms}
        return coming, scores.keys() - coming.keys()


class Inspector:
    """Reads and changes keys directly, without a manager."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._dump = client.register_script(_DUMP)
        self._run_out = client.register_script(_RUN_OUT)
        self._namespace = namespace

    def read(self) -> Stored:
        return Stored(*self._dump(args=[self._namespace]))

    def let_run_out(self, session: ModelSession, *, vanish: bool) -> int:
        """Make the session expire, and return the time (ms) at which it has expired."""
        prefix = f"{self._namespace}:{{{session.partition}}}:"
        args = [prefix, session.session_id, packed(session), session.user_id, session.agent_id, int(vanish)]
        return int(self._run_out(args=args))


def packed(session: ModelSession) -> str:
    """Return the session's member of the expiry index."""
    return f"{session.session_id} {len(session.user_id.encode())} {session.user_id}{session.agent_id}"


def differences(stored: Stored, model: JobModel) -> list[str]:
    """Return one line for each thing in Redis that is not as the model says."""
    lines = _lifetimes(stored)
    for partition in range(model.limits.partitions):
        sessions = [each for each in model.sessions.values() if each.partition == partition]
        lines += _sessions(stored, partition, [each for each in sessions if each.exists])
        lines += _indexes(stored, partition, sessions)
        lines += _revoked_sets(stored, partition, model)
        lines += _open_jobs(stored, partition, model)
    return lines


def _same(what: str, found: Any, expected: Any) -> list[str]:
    return [] if found == expected else [f"{what}: in Redis {found!r}, in the model {expected!r}"]


def _lifetimes(stored: Stored) -> list[str]:
    """Check that every key has a time to live, and an index at least that of its last member."""
    lines = []
    for (partition, kind), keys in stored.keys.items():
        if kind not in _KINDS | _RECEIPT_KINDS:
            lines.append(f"unknown keys in {partition}: {kind}:{list(keys)}")
        for name, key in keys.items():
            if key.ttl < 0:  # 0 in the millisecond of its expiry
                lines.append(f"no time to live: {partition} {kind}:{name}")
            if kind in ("u", "a", "x", "revoked"):
                latest = max(int(float(score)) for score in key.held.values())
                linger = INDEX_LINGER_MS if kind == "x" else 0
                if stored.now_ms + key.ttl < latest + linger - _SLACK_MS:
                    lines.append(f"ends before its last member: {partition} {kind}:{name}")
    return lines


def _sessions(stored: Stored, partition: int, sessions: list[ModelSession]) -> list[str]:
    hashes = stored.keys[partition, "s"]
    lines = _same(f"sessions in {partition}", hashes.keys(), {each.session_id for each in sessions})
    with_checkpoints = {each.session_id for each in sessions if each.checkpoints}
    for kind in "co":
        lines += _same(f"{kind} in {partition}", stored.keys[partition, kind].keys(), with_checkpoints)
    if lines:
        return lines
    for session in sessions:
        lines += _session(stored, session, hashes[session.session_id])
    return lines


def _session(stored: Stored, session: ModelSession, key: Key) -> list[str]:
    name, fields, expires = session.session_id, key.held, expiry_ms(session)
    # The metadata value follows the format byte.
    metadata = {each[2:]: json.loads(value[1:]) for each, value in fields.items() if each.startswith("m:")}
    order = stored.keys[session.partition, "o"].get(name, Key(0, {}))
    data = stored.keys[session.partition, "c"].get(name, Key(0, {}))
    pins = {each.checkpoint_id for each in session.checkpoints if each.pinned}
    ids = [each.checkpoint_id for each in session.checkpoints]
    created = [round(each.created_at.timestamp() * 1_000_000) for each in session.checkpoints]
    lines = [
        *_same(f"{name} user", fields["user"], session.user_id),
        *_same(f"{name} agent", fields["agent"], session.agent_id),
        *_same(f"{name} expires", int(fields["expires"]), expires),
        *_same(f"{name} metadata", metadata, session.metadata),
        *_same(f"{name} pins", {each[2:] for each in fields if each.startswith("p:")}, pins),
        *_same(f"{name} number of pins", int(fields.get("pins", 0)), len(pins)),
        *_same(f"{name} checkpoints", {each.decode() for each in data.held}, set(ids)),
        *_same(f"{name} order", list(order.held), ids),
        *_same(f"{name} moments", [int(float(score)) for score in order.held.values()], created),
    ]
    lines += [f"{name}: {line}" for line in stored.chunks.get((session.partition, name), [])]
    for each in (key, data, order) if ids else (key,):
        if abs(stored.now_ms + each.ttl - expires) > _SLACK_MS:
            lines.append(f"{name} ends {stored.now_ms + each.ttl - expires} ms after its expiry")
    return lines


def _indexes(stored: Stored, partition: int, sessions: list[ModelSession]) -> list[str]:
    """Check that indexes list existing sessions, and expired ones until a sweep has come.

    The expiry index does so exactly. The index of an owner may have vanished if all its members had expired.
    """
    existing = [each for each in sessions if each.exists]
    unswept = [each for each in sessions if each.unswept]
    coming, due = stored.members(partition, "x")
    lines = _same(f"expiry index {partition}", coming, {packed(each): expiry_ms(each) for each in existing})
    lines += _same(f"expiry index {partition}, due", due, {packed(each) for each in unswept})
    for letter, whose in (("u", "user"), ("a", "agent")):
        owners = {getattr(each, f"{whose}_id") for each in sessions} | stored.keys[partition, letter].keys()
        for owner in owners:
            coming, due = stored.members(partition, letter, owner)
            of_owner = [each for each in existing if each.is_of(whose, owner)]
            expected = {each.session_id: expiry_ms(each) for each in of_owner if whose not in each.revoked}
            lines += _same(f"index {letter}:{owner}", coming, expected)
            allowed = {each.session_id for each in unswept if each.is_of(whose, owner)}
            if not due <= allowed:
                lines.append(f"index {letter}:{owner} lists {due - allowed}, which are swept or gone")
    return lines


def _revoked_sets(stored: Stored, partition: int, model: JobModel) -> list[str]:
    lines, held = [], defaultdict(dict)
    for name in stored.keys[partition, "revoked"]:
        held[name.rpartition(":")[0]] |= stored.members(partition, "revoked", name)[0]
    holding: dict[str, ModelJob] = {each.job_id: each for each in model.jobs.values() if each.task.deletes}
    for job_id in held.keys() | holding.keys():
        expected = holding[job_id].holds(partition) if job_id in holding else []
        scores = {each.session_id: expiry_ms(each) for each in expected}
        lines += _same(f"revoked set of {job_id}", held.get(job_id, {}), scores)
    return lines


def _open_jobs(stored: Stored, partition: int, model: JobModel) -> list[str]:
    """Check that the list of open jobs holds every job that is to go on, and no other."""
    found = stored.keys[partition, "jobs"].get("", Key(0, {})).held.keys()
    at_home = {name for name, key in stored.keys[partition, "job"].items() if "state" in key.held}
    expected = {each.job_id for each in model.jobs.values() if each.listed_as_open} & at_home
    lines = _same(f"open jobs in {partition}", found, expected)
    if partition == 0:
        homes = {
            name
            for number in range(model.limits.partitions)
            for name, key in stored.keys[number, "job"].items()
            if "state" in key.held
        }
        lines += [f"job {job_id} has no record" for job_id in model.jobs.keys() - homes]
    return lines
