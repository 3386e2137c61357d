"""Receipts of deletions: the proof that stays when the data is gone.

They lie in one chain. Each carries the hash of the one before it, and its own, which covers everything else
in it. The hashes are keyed, so without the key a receipt can neither be altered nor made up, and a target
cannot be guessed from its hash.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ValidationError

from agent_runtime.manager.errors import CorruptDataError
from agent_runtime.manager.jobs.pace import pace_of
from agent_runtime.manager.jobs.records import Part, Record
from agent_runtime.manager.keys import Partitions
from agent_runtime.manager.models.jobs import JobKind, Receipt, Residue
from agent_runtime.manager.models.sessions import from_microseconds
from agent_runtime.manager.scripts import proofs as proof_scripts
from agent_runtime.manager.scripts.replies import START
from agent_runtime.manager.settings import Settings
from agent_runtime.manager.skip_corrupt import SkipCorrupt
from agent_runtime.manager.transport.script_client import ScriptClient
from agent_runtime.manager.validation import check_id

#: Receipts read at a time.
_PAGE = 500


class ChainCheck(BaseModel):
    """What a look at the whole chain of receipts found."""

    receipts: int
    first: int | None
    """Number of the oldest receipt that is kept."""
    last: int | None
    last_hash: str
    """Kept elsewhere, it shows later whether receipts were cut off at the end of the chain."""
    problems: list[str]


class Receipts:
    """The chain of receipts of one namespace."""

    def __init__(self, client: ScriptClient, partitions: Partitions, settings: Settings) -> None:
        self._client = client
        self._home = partitions.home
        self._retention_ms = settings.receipt_retention_seconds * 1000
        self._look_through = settings.residue_check
        self._settings = settings
        self._key = None if settings.receipt_key is None else settings.receipt_key.get_secret_value().encode()

    async def issue(self, job: Record) -> Receipt | None:
        """The receipt of a deletion whose work is done. A job has one, however often this is called; None
        where somebody has spoilt it since.
        """
        facts = await self._facts(job)
        forget_to = await self._expired_to(job.heartbeat_at)
        receipt, last = "", 0
        while True:
            word, text, newest = await proof_scripts.append_receipt(
                self._client,
                self._home,
                job.job_id,
                last=last,
                receipt=receipt,
                retention_ms=self._retention_ms,
                forget_to=forget_to,
            )
            if word != "BEHIND":
                return _readable(text or receipt)
            if receipt and newest == last:  # or this would never end
                raise CorruptDataError(f"the last receipt at {self._home.receipts!r} has no whole number")
            last, before = newest, _readable(text)
            place = {"number": last + 1, "previous": before.hash if before else ""}
            receipt = _signed(facts | place, await self._secret()).model_dump_json()

    async def all(self) -> AsyncIterator[Receipt]:
        """All receipts that are kept, oldest first.

        What cannot be read is left out; the log tells it, and `verify()` tells more.
        """
        listing = SkipCorrupt()
        async for number, text in self._stored():
            receipt = _readable(text)
            if receipt is None:
                listing.leave_out(
                    CorruptDataError(f"receipt {number} at {self._home.receipts!r} cannot be read")
                )
            else:
                yield receipt

    async def verify(self) -> ChainCheck:
        """Looks at the whole chain: whether a receipt is missing, was altered, or was put in."""
        secret = await self._secret()
        problems: list[str] = []
        first, last, last_hash, count = None, None, "", 0
        async for number, text in self._stored():
            count += 1
            receipt = _readable(text)
            if last is None:
                first = number
            elif number == last:
                problems.append(f"receipt {number} is there twice")
            elif number > last + 1:
                problems.append(f"receipts {last + 1} to {number - 1} are missing")
            elif receipt and last_hash and receipt.previous != last_hash:
                problems.append(f"receipt {number} does not follow receipt {last}")
            problems += _problems_of(number, receipt, secret)
            last, last_hash = number, receipt.hash if receipt else ""
        return ChainCheck(receipts=count, first=first, last=last, last_hash=last_hash, problems=problems)

    async def target_hash(self, target: str) -> str:
        """What receipts say instead of a user's or an agent's id.

        Raises:
            InvalidArgumentError: it can be the id of neither.
        """
        return await self._hash_of(check_id("target", target, self._settings.max_id_bytes))

    async def _hash_of(self, target: str) -> str:
        digest = hmac.new(await self._secret(), b"target:" + target.encode(), hashlib.sha256)
        return "hmac-sha256:" + digest.hexdigest()

    async def _facts(self, job: Record) -> dict[str, Any]:
        """Everything in a receipt but its place in the chain."""
        requested, finished = job.requested_at, job.heartbeat_at
        started = job.moment("started") or finished
        cutoff_us = min(int(part.fields["cutoff"]) for part in job.parts)
        return {
            "job_id": job.job_id,
            "kind": job.spec.kind,
            "target": await self._hash_of(job.spec.about or ""),
            "requested_at": requested,
            "cutoff_at": from_microseconds(cutoff_us),
            "started_at": started,
            "finished_at": finished,
            "sessions": job.total_of("removed"),
            "checkpoints": job.total_of("checkpoints"),
            "index_entries": job.total_of("entries"),
            "seconds_waited": (started - requested).total_seconds(),
            "seconds_worked": (finished - started).total_seconds(),
            "residue": await self._residue(job),
        }

    async def _residue(self, job: Record) -> Residue:
        """Looks for sessions of the target that existed at the cut-off of their partition."""
        found = 0
        for part in job.parts:
            for index in await self._indexes_to_look_through(job, part):
                found += await self._residue_in(job, part, index)
        return Residue(scope=self._look_through, sessions=found)

    async def _indexes_to_look_through(self, job: Record, part: Part) -> list[bytes]:
        """The target's index now, and what other deletions have taken from it and not reclaimed yet."""
        if self._look_through == "store":
            return [part.keys.expiry_index]
        target = job.spec.target(part.keys)
        waiting = await proof_scripts.list_revoked_sets(
            self._client, part.keys, target.letter, target.owner, job.job_id
        )
        return [target.index_key, *waiting]

    async def _residue_in(self, job: Record, part: Part, index: bytes) -> int:
        found, pace, cursor = 0, pace_of(self._settings), START
        while True:
            async with pace.batch() as size:
                count, cursor = await proof_scripts.count_residue(
                    self._client,
                    part.keys,
                    index,
                    cursor,
                    size,
                    whose="user" if job.spec.kind is JobKind.DELETE_USER else "agent",
                    owner=job.spec.target(part.keys).owner,
                    cutoff_us=int(part.fields["cutoff"]),
                )
            found += count
            if cursor == START:
                return found

    async def _secret(self) -> bytes:
        """The key that is set, or else one of the namespace's own, made at the first need. That one is not
        kept here: it lives on in Redis because it is read.
        """
        if self._key is not None:
            return self._key
        offered = secrets.token_hex(32)
        text = await proof_scripts.get_secret(self._client, self._home, offered, self._retention_ms)
        return text.encode()

    async def _stored(self) -> AsyncIterator[tuple[int, str]]:
        after = 0
        while page := await proof_scripts.list_receipts(self._client, self._home, after, _PAGE):
            for number, text in page:
                yield number, text
            after = page[-1][0]

    async def _expired_to(self, now: datetime) -> int:
        """Number of the last receipt that has been kept for its time; 0 where none has."""
        kept_from = now - timedelta(milliseconds=self._retention_ms)
        expired_to = 0
        for number, text in await proof_scripts.list_receipts(self._client, self._home, 0, 10):
            receipt = _readable(text)
            if receipt and receipt.finished_at < kept_from:
                expired_to = number
        return expired_to


def _signed(fields: dict[str, Any], secret: bytes) -> Receipt:
    unsigned = Receipt(**fields, hash="")
    text = json.dumps(unsigned.model_dump(mode="json", exclude={"hash"}), sort_keys=True)
    digest = hmac.new(secret, b"receipt:" + text.encode(), hashlib.sha256)
    return unsigned.model_copy(update={"hash": digest.hexdigest()})


def _readable(text: str) -> Receipt | None:
    """The receipt; None where somebody has written something else."""
    try:
        return Receipt.model_validate_json(text)
    except ValidationError:
        return None


def _problems_of(number: int, receipt: Receipt | None, secret: bytes) -> list[str]:
    """What is wrong with the receipt in this place, by itself."""
    if receipt is None:
        return [f"receipt {number} cannot be read"]
    problems = []
    if receipt.hash != _signed(receipt.model_dump(exclude={"hash"}), secret).hash:
        problems.append(f"receipt {number} was altered, or was made with another key")
    if receipt.number != number:
        problems.append(f"receipt {receipt.number} stands in the place of receipt {number}")
    return problems
