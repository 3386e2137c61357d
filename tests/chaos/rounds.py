"""The callers' actions, round by round.

A round makes and uses some sessions of two users with two agents, and then does something about them. Users
and agents of one round appear in no other, so the journal of one caller determines what must become of them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import redis
from kombu.exceptions import OperationalError

from agent_runtime import tasks
from agent_runtime.manager import new_session_id
from agent_runtime.manager.jobs import JobNotFoundError
from tests.chaos.calling import Answer, Caller

#: Sessions of a round: usually, and if a deletion is to take several batches.
_FEW, _MANY = (3, 9), 230


async def play(caller: Caller) -> None:
    """Play one round, chosen by chance."""
    ending = caller.rng.choice(ENDINGS)
    if ending is delete_many:
        await asyncio.gather(*(_create(caller) for _ in range(_MANY)))
        await ending(caller, [])
        return
    made = [await _create(caller) for _ in range(caller.rng.randint(*_FEW))]
    sessions = [session_id for session_id in made if session_id]
    for session_id in sessions:
        await _use(caller, session_id)
    await ending(caller, sessions)


async def forget(caller: Caller) -> None:
    """Delete the sessions of a round of some time ago."""
    for number in range(2):
        await _revoke(caller, "user", _user(caller, number))


async def keep(caller: Caller, sessions: list[str]) -> None:
    """Leave the sessions as they are."""
    user_id = _user(caller, 0)
    await caller.insist("count", partial(caller.manager.get_active_session_count, user_id), user_id=user_id)


async def delete_one_by_one(caller: Caller, sessions: list[str]) -> None:
    """Delete the first half of the sessions one by one."""
    for session_id in sessions[: len(sessions) // 2 + 1]:
        await caller.insist(
            "delete",
            partial(caller.manager.delete_session, session_id),
            session_id=session_id,
        )
        await _read(caller, session_id)


async def delete_user(caller: Caller, sessions: list[str]) -> None:
    """Delete a user who comes back, and repeat the request late: the new sessions stay."""
    key = await _revoke(caller, "user", _user(caller, 0))
    await _read(caller, *sessions)
    await _create(caller, user=0)
    await _revoke(caller, "user", _user(caller, 0), key=key)


async def delete_agent(caller: Caller, sessions: list[str]) -> None:
    """Delete an agent, over all partitions."""
    await _revoke(caller, "agent", _agent(caller, 0))
    await _read(caller, *sessions)


async def delete_many(caller: Caller, sessions: list[str]) -> None:
    """Delete an agent with enough sessions for several batches."""
    await delete_agent(caller, sessions)


async def delete_both(caller: Caller, sessions: list[str]) -> None:
    """Delete a user and an agent with common sessions at once."""
    await asyncio.gather(
        _revoke(caller, "user", _user(caller, 0)), _revoke(caller, "agent", _agent(caller, 0))
    )
    await _read(caller, *sessions)


async def delete_again(caller: Caller, sessions: list[str]) -> None:
    """Delete a user who comes back, and delete the user again, with the first job or with another."""
    await _revoke(caller, "user", _user(caller, 0))
    await _create(caller, user=0)
    await _revoke(caller, "user", _user(caller, 0))


async def undo(caller: Caller, sessions: list[str]) -> None:
    """Undo a deletion in its grace period."""
    await _revoke(caller, "agent", _agent(caller, 0), grace=120.0, then="undo")
    await _read(caller, *sessions)


async def undo_late(caller: Caller, sessions: list[str]) -> None:
    """Undo a deletion at about the time at which it begins."""
    await _revoke(
        caller, "user", _user(caller, 0), grace=1.0, then="undo", after=caller.rng.uniform(0.5, 2.5)
    )
    await _read(caller, *sessions)


async def pause(caller: Caller, sessions: list[str]) -> None:
    """Pause a deletion, and resume it."""
    await _revoke(caller, "agent", _agent(caller, 1), then="pause")
    await _read(caller, *sessions)


async def send_task(caller: Caller, sessions: list[str]) -> None:
    """Delete a user by a Celery message, repeated until the job is known. The user comes back."""
    user_id, task_id = _user(caller, 0), f"task-{uuid4()}"

    def send() -> bool:
        try:
            tasks.delete_user_sessions.apply_async((user_id,), task_id=task_id, ignore_result=True)
        except (OperationalError, redis.RedisError):  # raised by Celery while its broker is away
            return False
        return True

    async def known() -> str | None:
        try:
            return (await caller.manager.jobs.progress(task_id)).job_id
        except JobNotFoundError:
            return None

    while True:
        await caller.call("send", partial(asyncio.to_thread, send), task_id=task_id)
        for _ in range(10):
            if (await caller.insist("look for", known, target=user_id, what="user")).told:
                await _read(caller, *sessions)
                await _create(caller, user=0)
                return
            await asyncio.sleep(0.3)


async def expire(caller: Caller, sessions: list[str]) -> None:
    """Let the sessions expire."""
    for session_id in sessions:

        async def update(session_id: str = session_id) -> bool:
            moment = datetime.fromtimestamp(time.time() + 3, UTC)
            return await caller.manager.update_session(session_id, expires_at=moment)

        await caller.insist("expire", update, session_id=session_id)
    for session_id in sessions:
        exists = partial(caller.manager.session_exists, session_id)
        while (await caller.insist("exists", exists)).told:  # noqa: ASYNC110  (the question goes to a server)
            await asyncio.sleep(0.2)
    await caller.insist("sweep", lambda: _id_of(caller.jobs.cleanup_expired_sessions()))


async def prune(caller: Caller, sessions: list[str]) -> None:
    """Remove all checkpoints but the newest and the pinned ones from the sessions of an agent."""
    agent_id, key = _agent(caller, 0), uuid4().hex
    answer = await caller.insist(
        "prune",
        lambda: _id_of(caller.jobs.prune_checkpoints(agent_id=agent_id, keep_last=1, idempotency_key=key)),
        agent_id=agent_id,
    )
    if answer.answered:
        job = caller.jobs.get(answer.told)
        await caller.insist("wait", lambda: _state_of(job.wait()), job_id=job.id)


Ending = Callable[[Caller, list[str]], Awaitable[None]]

ENDINGS: list[Ending] = [
    keep,
    delete_one_by_one,
    delete_user,
    delete_agent,
    delete_many,
    delete_both,
    delete_again,
    undo,
    undo_late,
    pause,
    send_task,
    expire,
    prune,
]


def _user(caller: Caller, number: int) -> str:
    return f"{caller.round}-u{number}"


def _agent(caller: Caller, number: int) -> str:
    return f"{caller.round}-a{number}"


async def _create(caller: Caller, user: int | None = None) -> str | None:
    """Create a session, and return its id if the call was answered.

    Half of the callers choose the id, and repeat the call until there is an answer. The others do not repeat
    the call, because another call would make another session.
    """
    user_id = _user(caller, caller.rng.randrange(2) if user is None else user)
    agent_id, metadata = _agent(caller, caller.rng.randrange(2)), {"made by": caller.round, "n": 0}

    session_id = new_session_id(user_id) if caller.rng.random() < 0.5 else None

    async def create() -> str:
        create_session = caller.manager.create_session
        return (await create_session(user_id, agent_id, metadata, session_id=session_id)).session_id

    call = caller.insist if session_id else caller.call
    asked = {"user_id": user_id, "agent_id": agent_id, "metadata": metadata, "session_id": session_id}
    answer = await call("create", create, **asked)
    return answer.told if answer.answered else None


async def _use(caller: Caller, session_id: str) -> None:
    """Hold a conversation of some turns."""
    manager, rng = caller.manager, caller.rng
    for turn in range(rng.randint(1, 4)):
        patch = {"n": turn + 1, f"turn {turn}": rng.random()}
        await caller.insist(
            "merge",
            partial(manager.update_session_metadata, session_id, patch),
            session_id=session_id,
            patch=patch,
        )
        data = {"turn": turn, "text": "x" * rng.choice((10, 400, 3_000))}
        saved = await _save(caller, session_id, data)
        if saved.answered and rng.random() < 0.3:
            await caller.insist(
                "pin",
                partial(manager.pin_checkpoint, session_id, saved.told),
                session_id=session_id,
                checkpoint_id=saved.told,
            )
    await caller.insist("refresh", partial(manager.refresh_session, session_id), session_id=session_id)
    await _read(caller, session_id)


async def _save(caller: Caller, session_id: str, data: dict[str, Any]) -> Answer:
    """Save a checkpoint. Half of the saves are repeated until there is an answer, as with creations."""
    checkpoint_id = f"ckpt-{uuid4()}" if caller.rng.random() < 0.5 else None
    save = partial(caller.manager.save_checkpoint, session_id, data, checkpoint_id=checkpoint_id)
    call = caller.insist if checkpoint_id else caller.call
    return await call("save", save, session_id=session_id, data=data, checkpoint_id=checkpoint_id)


async def _read(caller: Caller, *sessions: str) -> None:
    """Read the sessions, so that the journal says what a reader saw at that time."""
    for session_id in sessions:

        async def read(session_id: str = session_id) -> dict[str, Any] | None:
            session = await caller.manager.get_session(session_id)
            return None if session is None else session.metadata

        await caller.insist("read", read, session_id=session_id)


async def _revoke(
    caller: Caller,
    what: str,
    target: str,
    *,
    key: str | None = None,
    grace: float = 0,
    then: str | None = None,
    after: float = 0,
) -> str:
    """Ask for the deletion of a user or an agent until there is an answer, and return the idempotency key.

    If `then` is "undo" or "pause", do this to the job `after` so many seconds. The key serves to repeat the
    request.
    """
    key = key or uuid4().hex
    method = caller.jobs.delete_user_sessions if what == "user" else caller.jobs.delete_agent_sessions
    options: dict[str, Any] = {"idempotency_key": key}
    if grace:
        options["grace"] = timedelta(seconds=grace)
    answer = await caller.insist(
        "revoke", lambda: _id_of(method(target, **options)), what=what, target=target, key=key
    )
    if not answer.answered or then is None:
        return key
    await asyncio.sleep(after)
    job = caller.jobs.get(answer.told)
    if then == "undo":
        await caller.insist("undo", lambda: _state_of(job.undo()), job_id=job.id)
    elif (await caller.insist("pause", lambda: _state_of(job.pause()), job_id=job.id)).answered:
        await asyncio.sleep(caller.rng.uniform(0, 1))
        await caller.insist("resume", lambda: _state_of(job.resume()), job_id=job.id)
    return key


async def _id_of(opening: Awaitable[Any]) -> str:
    return str((await opening).id)


async def _state_of(controlling: Awaitable[Any]) -> str:
    return str((await controlling).state)
