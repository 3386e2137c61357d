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
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from manager.jobs import proof_scripts
from manager.jobs.models import JobKind, Receipt, Residue
from manager.jobs.records import Record
from manager.keys import Partitions
from manager.models import from_microseconds
from manager.pace import pace_of
from manager.scripts import START
from manager.settings import Settings
from manager.store import Store

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

    def __init__(self, store: Store, partitions: Partitions, settings: Settings) -> None:
        self._store = store
        self._home = partitions.home
        self._retention_ms = settings.receipt_retention_seconds * 1000
        self._look_through = settings.residue_check
        self._settings = settings
        self._key = None if settings.receipt_key is None else settings.receipt_key.get_secret_value().encode()

    async def issue(self, job: Record) -> Receipt:
        """The receipt of a deletion whose work is done. A job has one, however often this is called."""
        facts = await self._facts(job)
        receipt, last = "", 0
        while True:
            word, text = await proof_scripts.append_receipt(
                self._store,
                self._home,
                job.job_id,
                last=last,
                receipt=receipt,
                retention_ms=self._retention_ms,
                forget_to=await self._expired_to(),
            )
            if word != "BEHIND":
                return Receipt.model_validate_json(text or receipt)
            newest = Receipt.model_validate_json(text) if text else None
            last = newest.number if newest else 0
            previous = newest.hash if newest else ""
            receipt = (
                await self._signed(facts | {"number": last + 1, "previous": previous})
            ).model_dump_json()

    async def all(self) -> AsyncIterator[Receipt]:
        """All receipts that are kept, oldest first."""
        async for _, text in self._stored():
            yield Receipt.model_validate_json(text)

    async def verify(self) -> ChainCheck:
        """Looks at the whole chain: whether a receipt is missing, was altered, or was put in."""
        problems: list[str] = []
        first, previous, count = None, None, 0
        async for number, text in self._stored():
            receipt = Receipt.model_validate_json(text)
            count += 1
            if receipt.hash != (await self._signed(receipt.model_dump(exclude={"hash"}))).hash:
                problems.append(f"receipt {number} was altered, or was made with another key")
            if receipt.number != number:
                problems.append(f"receipt {receipt.number} stands in the place of receipt {number}")
            if previous is None:
                first = number
            elif number != previous.number + 1:
                problems.append(f"receipts {previous.number + 1} to {number - 1} are missing")
            elif receipt.previous != previous.hash:
                problems.append(f"receipt {number} does not follow receipt {previous.number}")
            previous = receipt
        return ChainCheck(
            receipts=count,
            first=first,
            last=previous.number if previous else None,
            last_hash=previous.hash if previous else "",
            problems=problems,
        )

    async def target_hash(self, target: str) -> str:
        """What receipts say instead of a user's or an agent's id."""
        digest = hmac.new(await self._secret(), b"target:" + target.encode(), hashlib.sha256)
        return "hmac-sha256:" + digest.hexdigest()

    async def _facts(self, job: Record) -> dict[str, Any]:
        """Everything in a receipt but its place in the chain."""
        requested, finished = job.requested_at, job.heartbeat_at
        started = job.moment("started") or finished
        cutoff_us = max(int(part.fields["cutoff"]) for part in job.parts)
        return {
            "job_id": job.job_id,
            "kind": job.work.kind,
            "target": await self.target_hash(job.work.about or ""),
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
        work = job.work
        found = 0
        for part in job.parts:
            target = work.target(part.keys)
            index = part.keys.expiry_index if self._look_through == "store" else target.index_key
            pace, cursor = pace_of(self._settings), START
            while True:
                async with pace.batch() as size:
                    count, cursor = await proof_scripts.count_residue(
                        self._store,
                        part.keys,
                        index,
                        cursor,
                        size,
                        whose="user" if work.kind is JobKind.DELETE_USER else "agent",
                        owner=target.owner,
                        cutoff_us=int(part.fields["cutoff"]),
                    )
                found += count
                if cursor == START:
                    break
        return Residue(looked_through=self._look_through, sessions=found)

    async def _signed(self, fields: dict[str, Any]) -> Receipt:
        unsigned = Receipt(**fields, hash="")
        text = json.dumps(unsigned.model_dump(mode="json", exclude={"hash"}), sort_keys=True)
        digest = hmac.new(await self._secret(), b"receipt:" + text.encode(), hashlib.sha256)
        return unsigned.model_copy(update={"hash": digest.hexdigest()})

    async def _secret(self) -> bytes:
        """The key that is set, or else one of the namespace's own, made at the first need."""
        if self._key is None:
            offered = secrets.token_hex(32)
            text = await proof_scripts.get_secret(self._store, self._home, offered, self._retention_ms)
            self._key = text.encode()
        return self._key

    async def _stored(self) -> AsyncIterator[tuple[int, str]]:
        after = 0
        while page := await proof_scripts.list_receipts(self._store, self._home, after, _PAGE):
            for number, text in page:
                yield number, text
            after = page[-1][0]

    async def _expired_to(self) -> int:
        """Number of the last receipt that has been kept for its time; 0 where none has."""
        kept_from = datetime.now(UTC) - timedelta(milliseconds=self._retention_ms)
        expired_to = 0
        for number, text in await proof_scripts.list_receipts(self._store, self._home, 0, 10):
            if Receipt.model_validate_json(text).finished_at < kept_from:
                expired_to = number
        return expired_to
