"""Receipts of deletions: the proof that stays when the data is gone.

Receipts lie in one chain. Each carries the hash of the receipt before it, and its own hash, which covers
everything else in it. The hashes are keyed: without the key a receipt can neither be altered nor made up, and
nobody can guess a target from its hash.
"""

import asyncio
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
from agent_runtime.manager.models.jobs import Receipt, Residue
from agent_runtime.manager.models.sessions import from_microseconds
from agent_runtime.manager.scripts import proofs as proof_scripts
from agent_runtime.manager.scripts.proofs import AppendReply, Chain
from agent_runtime.manager.scripts.replies import START
from agent_runtime.manager.settings import Settings
from agent_runtime.manager.skip_corrupt import SkipCorrupt
from agent_runtime.manager.transport.script_client import ScriptClient
from agent_runtime.manager.validation import check_id

#: Receipts read at a time, and receipts that are looked at, oldest first, to drop those kept for their time.
_PAGE, _OLDEST = 500, 10


class ChainCheck(BaseModel):
    """Result of a look through the whole chain of receipts.

    Example:
        >>> (await manager.jobs.receipts.verify()).problems
        []
    """

    receipts: int
    first: int | None
    """Number of the oldest receipt that is kept."""
    last: int | None
    last_hash: str
    """Kept elsewhere, it shows later whether receipts were cut off at the end of the chain."""
    problems: list[str]


class Receipts:
    """The chain of receipts of one namespace.

    Example:
        >>> (await manager.jobs.receipts.verify()).problems
        []
    """

    def __init__(self, client: ScriptClient, partitions: Partitions, settings: Settings) -> None:
        self._client = client
        self._home = partitions.home
        self._retention_ms = settings.receipt_retention_seconds * 1000
        self._look_through = settings.residue_check
        self._settings = settings
        self._key = None if settings.receipt_key is None else settings.receipt_key.get_secret_value().encode()

    async def issue(self, job: Record) -> Receipt | None:
        """Issue the receipt of a deletion whose work is done. A job has one, however often this is called.

        Return None if somebody has spoilt the job's receipt since.

        Raises:
            CorruptDataError: sessions of the target from before the cut-off are still there.
        """
        residue, chain = await asyncio.gather(self._residue(job), self._read_chain(job.job_id, limit=_OLDEST))
        if residue.sessions:
            raise CorruptDataError(
                f"{residue.sessions} sessions of the target of job {job.job_id!r} predate the deletion"
                " and still there: an index was lost, or somebody restored data. Run"
                " `agent-sessions check --repair`, then resume the job"
            )
        last = -1
        while not chain.own:
            if chain.number == last:  # or this would never end
                raise CorruptDataError(f"the last receipt at {self._home.receipts!r} has no whole number")
            last = chain.number
            receipt = _following(chain, self._facts(job, residue, chain), self._secret_of(chain))
            text = receipt.model_dump_json()
            reply = await proof_scripts.append_receipt(
                self._client,
                self._home,
                job.job_id,
                text,
                last=chain.number,
                retention_ms=self._retention_ms,
                drop_to=self._expired_to(chain, job.heartbeat_at),
            )
            if reply is AppendReply.APPENDED:
                return receipt
            chain = await self._read_chain(job.job_id, limit=_OLDEST)
            if reply is AppendReply.KNOWN:
                break
        return _readable(chain.own)

    async def all(self) -> AsyncIterator[Receipt]:
        """Yield all receipts that are kept, oldest first.

        A receipt that cannot be read is left out; the log names it, and `verify()` tells more.

        Example:
            >>> [receipt.sessions async for receipt in manager.jobs.receipts.all()]
            [3, 1]
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
        """Look through the whole chain for receipts that are missing, were altered, or were put in.

        Example:
            >>> (await manager.jobs.receipts.verify()).problems
            []
        """
        secret = self._secret_of(await self._read_chain())
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
        """Return what receipts say instead of a user's or an agent's id.

        Raises:
            InvalidArgumentError: it can be the id of neither.

        Example:
            >>> await manager.jobs.receipts.target_hash("user_123")
            'hmac-sha256:5f2c…'
        """
        check_id("target", target, self._settings.max_id_bytes)
        return _hashed(target, self._secret_of(await self._read_chain()))

    def _facts(self, job: Record, residue: Residue, chain: Chain) -> dict[str, Any]:
        """Return everything in a receipt but its place in the chain."""
        requested, finished = job.requested_at, job.heartbeat_at
        started = job.moment("started") or finished
        cutoff_us = min(int(part.fields["cutoff"]) for part in job.parts)
        return {
            "job_id": job.job_id,
            "kind": job.spec.kind,
            "target": _hashed(job.spec.target or "", self._secret_of(chain)),
            "requested_at": requested,
            "cutoff_at": from_microseconds(cutoff_us),
            "started_at": started,
            "finished_at": finished,
            "sessions": job.total_of("removed"),
            "checkpoints": job.total_of("checkpoints"),
            "index_entries": job.total_of("entries"),
            "seconds_waited": (started - requested).total_seconds(),
            "seconds_worked": (finished - started).total_seconds(),
            "residue": residue,
        }

    async def _residue(self, job: Record) -> Residue:
        """Look for sessions of the target that existed at the cut-off of their partition."""
        found = 0
        for part in job.parts:  # one after the other, at the pace of bulk work
            found += await self._residue_of_part(job, part)
        return Residue(scope=self._look_through, sessions=found)

    async def _residue_of_part(self, job: Record, part: Part) -> int:
        """Look through the target's index as it is now, and through what other deletions have taken from it
        and not reclaimed yet; or through every session of the partition.
        """
        if self._look_through == "store":
            found, _ = await self._residue_of_index(job, part, part.keys.expiry_index)
            return found
        index = job.spec.selection_in(part.keys).index_key
        found, revoked_sets = await self._residue_of_index(job, part, index)
        for revoked_set in revoked_sets:
            found += (await self._residue_of_index(job, part, revoked_set))[0]
        return found

    async def _residue_of_index(self, job: Record, part: Part, index: bytes) -> tuple[int, list[bytes]]:
        found, pace, cursor = 0, pace_of(self._settings), START
        revoked_sets: list[bytes] = []
        while True:
            async with pace.batch() as size:
                count, cursor, listed = await proof_scripts.count_residue(
                    self._client,
                    part.keys,
                    index,
                    cursor,
                    size,
                    selection=job.spec.selection_in(part.keys),
                    cutoff_us=int(part.fields["cutoff"]),
                    job_id=job.job_id,
                )
            found += count
            revoked_sets += listed
            if cursor == START:
                return found, revoked_sets

    async def _read_chain(self, job_id: str = "", limit: int = 0) -> Chain:
        """Read the end of the chain, with the namespace's own secret if no key is set. The secret is made at
        the first need, and not kept here: it lives on in Redis because it is read.
        """
        return await proof_scripts.read_chain(
            self._client,
            self._home,
            job_id=job_id,
            offered=secrets.token_hex(32) if self._key is None else "",
            keep_ms=self._retention_ms,
            limit=limit,
        )

    def _secret_of(self, chain: Chain) -> bytes:
        """Return the key that is set, or else the namespace's own secret."""
        return chain.secret.encode() if self._key is None else self._key

    async def _stored(self) -> AsyncIterator[tuple[int, str]]:
        after = 0
        while page := await proof_scripts.list_receipts(self._client, self._home, after, _PAGE):
            for number, text in page:
                yield number, text
            after = page[-1][0]

    def _expired_to(self, chain: Chain, now: datetime) -> int:
        """Return the number of the last receipt that has been kept for its time, or 0."""
        kept_from = now - timedelta(milliseconds=self._retention_ms)
        expired_to = 0
        for number, text in chain.oldest:
            receipt = _readable(text)
            if receipt and receipt.finished_at < kept_from:
                expired_to = number
        return expired_to


def _following(chain: Chain, facts: dict[str, Any], secret: bytes) -> Receipt:
    """Return the receipt with these facts that follows the end of the chain."""
    before = _readable(chain.newest)
    return _signed(facts | {"number": chain.number + 1, "previous": before.hash if before else ""}, secret)


def _hashed(target: str, secret: bytes) -> str:
    digest = hmac.new(secret, b"target:" + target.encode(), hashlib.sha256)
    return "hmac-sha256:" + digest.hexdigest()


def _signed(fields: dict[str, Any], secret: bytes) -> Receipt:
    unsigned = Receipt(**fields, hash="")
    text = json.dumps(unsigned.model_dump(mode="json", exclude={"hash"}), sort_keys=True)
    digest = hmac.new(secret, b"receipt:" + text.encode(), hashlib.sha256)
    return unsigned.model_copy(update={"hash": digest.hexdigest()})


def _readable(text: str) -> Receipt | None:
    """Return the receipt, or None if somebody has written something else."""
    try:
        return Receipt.model_validate_json(text)
    except ValidationError:
        return None


def _problems_of(number: int, receipt: Receipt | None, secret: bytes) -> list[str]:
    """Return what is wrong with the receipt in this place, by itself."""
    if receipt is None:
        return [f"receipt {number} cannot be read"]
    problems = []
    if receipt.hash != _signed(receipt.model_dump(exclude={"hash"}), secret).hash:
        problems.append(f"receipt {number} was altered, or was made with another key")
    if receipt.number != number:
        problems.append(f"receipt {receipt.number} stands in the place of receipt {number}")
    return problems
