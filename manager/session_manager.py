"""The async face of the store: sessions, checkpoints, and bulk work on them."""

from agent_runtime.manager.methods.batches import BatchMethods
from agent_runtime.manager.methods.bulk import BulkMethods
from agent_runtime.manager.methods.integrity import IntegrityMethods
from agent_runtime.manager.methods.listings import ListingMethods
from agent_runtime.manager.methods.user_keys import KeyMethods


class SessionManager(BatchMethods, ListingMethods, BulkMethods, KeyMethods, IntegrityMethods):
    """Keeps the sessions and checkpoints of LLM agents in Redis.

    Reading or writing one session is one round trip; calls made at once leave together. One manager
    serves any number of event loops and threads.

    Args:
        conn: a `redis.Redis` or `redis.asyncio.Redis`. Its settings are used, never its connections.
        ttl: life of a session from its creation or last refresh, seconds.
        max_sessions: most sessions that may exist at once, over all users.
        settings: everything else; by default from the environment (`AGENT_SESSIONS_…`).

    Raises:
        InvalidArgumentError: an argument is not acceptable (a `ValueError`).
        SettingsError: a variable in the environment is not acceptable.

    Example:
        >>> manager = SessionManager(redis.Redis(), ttl=3600)
        >>> session = await manager.create_session("user_123", "chatbot")
        >>> checkpoint_id = await manager.save_checkpoint(session.session_id, {"turn": 1})
    """
