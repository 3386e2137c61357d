"""Every error that this package raises.

    AgentSessionsError
    ├── InvalidArgumentError (ValueError)      an argument is not acceptable; nothing was written
    ├── SettingsError (ValueError)             a setting is not acceptable; the message names its variable
    │   └── LayoutError                        the store was begun with other settings; nothing was done
    ├── SessionNotFoundError (ValueError)      the session does not exist or is not live
    ├── SessionLimitError (RuntimeError)       the store is at `max_sessions`; nothing was written
    ├── CorruptDataError                       a stored value cannot be read; the message names its key
    │   └── DecryptionError                    the value was altered, or its encryption key is not there
    ├── JobNotFoundError (LookupError)         unknown job id, or the job's record has expired
    ├── JobWaitTimeoutError (TimeoutError)     the job was still open when the wait ended; the job goes on
    ├── JobStateError (RuntimeError)           the job's state does not allow the action; nothing was changed
    ├── JobFailedError (RuntimeError)          the awaited job failed; it can be resumed
    ├── JobCancelledError (RuntimeError)       the awaited job was cancelled or undone
    ├── TooManyAffectedError (ValueError)      over `max_affected` would be removed; nothing was changed
    ├── EnqueueError                           the broker did not take the message; the job is kept
    └── StoreError                             Redis did not carry out the call
        ├── StoreUnavailableError (ConnectionError)   not applied: no connection could be made
        ├── StoreRefusedError                         not applied: the server answered with an error
        └── StoreOutcomeUnknownError (TimeoutError)   sent, but no reply came back

After `StoreOutcomeUnknownError`, repeat the call: that is always safe. A call that makes something new makes
it once if you pass an id of your own: `create_session(session_id=…)`, `save_checkpoint(checkpoint_id=…)`, and
`job_id=…` or `idempotency_key=…` for a job.
"""

import ssl

_TLS_ADVICE = "(with TLS: one side misses or does not trust the certificate of the other; docs/security.md)"


class AgentSessionsError(Exception):
    """The root of all errors of this package.

    Example:
        >>> try:
        ...     session = await manager.create_session("user_123", "chatbot")
        ... except AgentSessionsError as error:
        ...     print(f"no session: {error}")
    """


class InvalidArgumentError(AgentSessionsError, ValueError):
    """An argument is not acceptable. The message names the argument and the limit. Nothing was written.

    Example:
        >>> await manager.create_session("", "chatbot")
        Traceback (most recent call last):
        agent_runtime.manager.errors.InvalidArgumentError: user_id must not be empty
    """


class SettingsError(AgentSessionsError, ValueError):
    """A setting is not acceptable. The message names the environment variable.

    Example:
        >>> SessionManager.from_settings(Settings(encryption_key_id="k1"))
        Traceback (most recent call last):
        agent_runtime.manager.errors.SettingsError: AGENT_SESSIONS_ENCRYPTION_KEY_ID needs ...
    """


class LayoutError(SettingsError):
    """The store was begun with other settings than those of this process. Nothing was done.

    Example:
        >>> other = SessionManager.from_settings(Settings(partitions=8))
        >>> await other.get_session("sess_abc123")
        Traceback (most recent call last):
        agent_runtime.manager.errors.LayoutError: the store with the namespace ...
    """


class SessionNotFoundError(AgentSessionsError, ValueError):
    """The session does not exist, has expired, or is revoked.

    Example:
        >>> await manager.save_checkpoint("sess_unknown", {"turn": 1})
        Traceback (most recent call last):
        agent_runtime.manager.errors.SessionNotFoundError: ...
    """


class SessionLimitError(AgentSessionsError, RuntimeError):
    """The store already holds `max_sessions` sessions. Nothing was written.

    Example:
        >>> full = SessionManager(redis.Redis(), max_sessions=1)
        >>> [await full.create_session(user, "chatbot") for user in ("user_1", "user_2")]
        Traceback (most recent call last):
        agent_runtime.manager.errors.SessionLimitError: ...
    """


class CorruptDataError(AgentSessionsError):
    """A stored value cannot be read: its format is unknown, or it is damaged. The message names its key.

    Listings leave such a value out, and report it to the log `agent_sessions`.

    Example:
        >>> try:
        ...     session = await manager.get_session("sess_abc123")
        ... except CorruptDataError as error:
        ...     print(error)  # and run `agent-sessions check`
    """


class DecryptionError(CorruptDataError):
    """A stored value cannot be decrypted: the key that it names is not there, or does not fit.

    Raised by a write if the key of the session's user was erased: nothing more can be stored in the session.
    """


class JobNotFoundError(AgentSessionsError, LookupError):
    """No job has this id, or the job's record has expired.

    Example:
        >>> await manager.jobs.progress("job_unknown")
        Traceback (most recent call last):
        agent_runtime.manager.errors.JobNotFoundError: ...
    """


class JobWaitTimeoutError(AgentSessionsError, TimeoutError):
    """The job was still open when the wait ended. The job goes on.

    Example:
        >>> job = await SessionJobs(manager).delete_user_sessions("user_123", grace=3600)
        >>> try:
        ...     progress = await job.wait(timeout=0.1)
        ... except JobWaitTimeoutError:
        ...     print((await job.progress()).state)
        scheduled
    """


class JobStateError(AgentSessionsError, RuntimeError):
    """The job's state does not allow the action. Nothing was changed.

    Example:
        >>> job = await SessionJobs(manager).cleanup_expired_sessions()
        >>> progress = await job.wait(timeout=60)
        >>> await job.pause()
        Traceback (most recent call last):
        agent_runtime.manager.errors.JobStateError: ...
    """


class JobFailedError(AgentSessionsError, RuntimeError):
    """The awaited job has failed; the message says why. Its sessions stay revoked, and it can be resumed.

    Example:
        >>> job = await SessionJobs(manager).delete_user_sessions("user_123")
        >>> try:
        ...     progress = await job.wait(timeout=60)
        ... except JobFailedError as error:
        ...     print(error)
        ...     progress = await job.resume()
    """


class JobCancelledError(AgentSessionsError, RuntimeError):
    """The awaited job was cancelled or undone before its end.

    Example:
        >>> job = await SessionJobs(manager).delete_user_sessions("user_123", grace=3600)
        >>> progress = await job.undo()
        >>> await job.wait(timeout=60)
        Traceback (most recent call last):
        agent_runtime.manager.errors.JobCancelledError: ...
    """


class TooManyAffectedError(AgentSessionsError, ValueError):
    """The job would remove more than `max_affected` allows. Nothing was changed.

    Example:
        >>> await SessionJobs(manager).delete_user_sessions("user_123", max_affected=1)
        Traceback (most recent call last):
        agent_runtime.manager.errors.TooManyAffectedError: ...
    """


class EnqueueError(AgentSessionsError):
    """The broker did not take the message of a job.

    The job is in the job store, so its sessions stay revoked. The next run of `tasks.resume_stalled_jobs`
    enqueues it. The attribute `job_id` holds its id.

    Example:
        >>> try:
        ...     job = await SessionJobs(manager).delete_user_sessions("user_123")
        ... except EnqueueError as error:
        ...     job = SessionJobs(manager).get(error.job_id)
    """

    def __init__(self, message: str, job_id: str) -> None:
        super().__init__(message)
        self.job_id = job_id

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (str(self), self.job_id)


class StoreError(AgentSessionsError):
    """Redis did not carry out the call. The subclasses say whether it may have been applied.

    Example:
        >>> lost = SessionManager(redis.Redis(port=1))
        >>> try:
        ...     await lost.get_session("sess_abc123")
        ... except StoreError as error:
        ...     print(type(error).__name__)
        StoreUnavailableError
    """


class StoreUnavailableError(StoreError, ConnectionError):
    """No connection to the server could be made, so the call was not applied.

    Example:
        >>> await SessionManager(redis.Redis(port=1)).get_session("sess_abc123")
        Traceback (most recent call last):
        agent_runtime.manager.errors.StoreUnavailableError: no connection to the server: ...
    """


class StoreRefusedError(StoreError):
    """The server answered with an error (no rights, out of memory, read only), so the call was not applied.

    Example:
        >>> await SessionManager(redis.Redis(password="wrong")).get_session("sess_abc123")
        Traceback (most recent call last):
        agent_runtime.manager.errors.StoreRefusedError: the server refused the credentials: ...
    """


class StoreOutcomeUnknownError(StoreError, TimeoutError):
    """The call was sent and no reply came back: it may or may not have been applied. Repeating it is safe.

    Example:
        >>> session_id = new_session_id("user_123")
        >>> try:
        ...     session = await manager.create_session("user_123", "chatbot", session_id=session_id)
        ... except StoreOutcomeUnknownError:
        ...     session = await manager.create_session("user_123", "chatbot", session_id=session_id)
    """


def tls_advice(error: BaseException | None) -> str:
    """Return advice to append to the message of a connection error; '' if TLS cannot be the reason.

    A server that wants another certificate, or TLS at all, may just break the connection.

    Example:
        >>> tls_advice(ConnectionResetError())
        ' (with TLS: one side misses or does not trust the certificate of the other; docs/security.md)'
    """
    while error is not None:
        if isinstance(error, ssl.SSLError | ConnectionResetError | BrokenPipeError):
            return f" {_TLS_ADVICE}"
        error = error.__cause__ or error.__context__
    return ""
