"""Methods of `SessionManager` on many sessions at once.

Each does its whole work before it returns. What may be large belongs into a worker: `tasks.SessionJobs`.
"""

from datetime import timedelta

from manager.base import ManagerBase
from manager.checks import check_age_seconds, check_count
from manager.errors import InvalidArgumentError
from manager.ledger import PrunePolicy


class BulkMethods(ManagerBase):
    """Bulk deletion, sweep and pruning."""

    async def delete_user_sessions(self, user_id: str) -> int:
        """Deletes all sessions of a user; how many there were. None can be read from the first moment on.

        Example:
            >>> await manager.delete_user_sessions("user_123")
            3
        """
        return (await self.ledger.run(await self.revoke_user_sessions(user_id))).removed

    async def delete_agent_sessions(self, agent_id: str) -> int:
        """Deletes all sessions of an agent; how many there were. None can be read from the first moment on.

        Example:
            >>> await manager.delete_agent_sessions("chatbot")
            3
        """
        return (await self.ledger.run(await self.revoke_agent_sessions(agent_id))).removed

    async def cleanup_expired_sessions(self) -> int:
        """Removes what is left in the indexes of sessions that ran out; how many sessions.

        Lists and counts are right without it. Each session is counted once, whoever sweeps.

        Example:
            >>> await manager.cleanup_expired_sessions()
            12
        """
        return (await self.ledger.run(await self.ledger.open_sweep(join=False))).removed

    async def prune_checkpoints(
        self,
        session_id: str | None = None,
        agent_id: str | None = None,
        keep_last: int | None = None,
        older_than: float | timedelta | None = None,
    ) -> int:
        """Removes checkpoints of one session, of an agent's sessions, or of all; how many.

        Args:
            session_id: prune only this session.
            agent_id: prune only the sessions of this agent.
            keep_last: remove all but the newest so many of each session.
            older_than: remove those of this age (seconds or timedelta) and more. With both limits, a
                checkpoint goes when it is over either. The newest of a session always stays.

        Raises:
            InvalidArgumentError: no limit at all, both a session and an agent, or a value out of range.

        Example:
            >>> await manager.prune_checkpoints(agent_id="chatbot", keep_last=5)
            40
        """
        policy = self.prune_policy(session_id, agent_id, keep_last, older_than)
        return (await self.ledger.run(await self.ledger.open_pruning(policy, join=False))).removed

    async def revoke_user_sessions(self, user_id: str, job_id: str | None = None) -> str:
        """Makes all sessions of a user unreadable at once, in O(1); the id of the job that reclaims them.

        Sessions created later are not touched. Repeated with the same `job_id`, it changes nothing.

        Example:
            >>> job_id = await manager.revoke_user_sessions("user_123")
            >>> await manager.get_sessions_by_user("user_123")
            []
        """
        self._check_id("user_id", user_id)
        with self._revoking(user_id=user_id):
            return await self.ledger.open_user_deletion(user_id, job_id)

    async def revoke_agent_sessions(self, agent_id: str, job_id: str | None = None) -> str:
        """Makes all sessions of an agent unreadable at once; otherwise as `revoke_user_sessions`.

        Example:
            >>> job_id = await manager.revoke_agent_sessions("chatbot")
        """
        self._check_id("agent_id", agent_id)
        with self._revoking(agent_id=agent_id):
            return await self.ledger.open_agent_deletion(agent_id, job_id)

    def prune_policy(
        self,
        session_id: str | None = None,
        agent_id: str | None = None,
        keep_last: int | None = None,
        older_than: float | timedelta | None = None,
    ) -> PrunePolicy:
        """The policy that the arguments of `prune_checkpoints` mean, once they are checked."""
        if keep_last is None and older_than is None:
            raise InvalidArgumentError("prune_checkpoints needs keep_last or older_than, or both")
        if session_id is not None and agent_id is not None:
            raise InvalidArgumentError("prune_checkpoints takes session_id or agent_id, not both")
        if session_id is not None:
            self._check_id("session_id", session_id)
        if agent_id is not None:
            self._check_id("agent_id", agent_id)
        return PrunePolicy(
            session_id=session_id,
            agent_id=agent_id,
            keep_last=None if keep_last is None else check_count("keep_last", keep_last, 0),
            older_than_seconds=None if older_than is None else check_age_seconds("older_than", older_than),
        )
