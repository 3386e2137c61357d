"""Every error that this package raises.

    AgentSessionsError
    ├── InvalidArgumentError (ValueError)      the call is wrong; nothing was written
    ├── SettingsError (ValueError)             a setting is wrong; the message names its variable
    ├── SessionNotFoundError (ValueError)      the session does not exist or is not live
    ├── SessionLimitError (RuntimeError)       the store is at `max_sessions`; nothing was written
    ├── CorruptDataError                       a stored value cannot be read; the message names its key
    │   └── DecryptionError                    it is encrypted under a key that is not there, or was altered
    ├── JobNotFoundError (LookupError)         no job with that id, or its record has been forgotten
    ├── JobWaitTimeoutError (TimeoutError)     the job was still open when the wait ended; it goes on
    ├── JobStateError (RuntimeError)           the job's state does not allow this; nothing was changed
    ├── JobFailedError (RuntimeError)          the awaited job failed; it can be resumed
    ├── JobCancelledError (RuntimeError)       the awaited job was cancelled or undone
    ├── TooManyAffectedError (ValueError)      more than `max_affected` would go; nothing was changed
    ├── EnqueueError                           the broker did not take the message; the job is kept
    └── StoreError                             Redis did not do what was asked
        ├── StoreUnavailableError (ConnectionError)   not applied: no connection could be made
        ├── StoreRefusedError                         not applied: the server answered with an error
        └── StoreOutcomeUnknownError (TimeoutError)   sent, but no answer came back

`StoreOutcomeUnknownError` is answered by calling again, which is always safe. What makes something new makes
it once if the caller names its id: `create_session(session_id=…)`, `save_checkpoint(checkpoint_id=…)`,
`job_id=…` or `idempotency_key=…` of a job.
"""

import ssl

_TLS_ADVICE = "(with TLS: one side misses or does not trust the certificate of the other; docs/security.md)"


class AgentSessionsError(Exception):
    """The root of all errors of this package."""


class InvalidArgumentError(AgentSessionsError, ValueError):
    """An argument is not acceptable. The message names the argument and the limit."""


class SettingsError(AgentSessionsError, ValueError):
    """A setting is not acceptable. The message names the environment variable."""


class SessionNotFoundError(AgentSessionsError, ValueError):
    """The session does not exist, has expired, or has been revoked."""


class SessionLimitError(AgentSessionsError, RuntimeError):
    """The store holds `max_sessions` sessions already."""


class CorruptDataError(AgentSessionsError):
    """What is stored cannot be read: it is in no known format, or somebody has damaged it.

    The message names its key. Listings leave such an item out and tell the log (`agent_sessions`).
    """


class DecryptionError(CorruptDataError):
    """A stored value does not open under the key it names, or there is no such key (any more).

    For a write: the session's user had its key erased, so nothing more can be kept in this session.
    """


class JobNotFoundError(AgentSessionsError, LookupError):
    """There is no job with that id, or its record was kept for its time and is gone."""


class JobWaitTimeoutError(AgentSessionsError, TimeoutError):
    """The job was still open when the wait ended. The job itself goes on."""


class JobStateError(AgentSessionsError, RuntimeError):
    """The job's state does not allow what was asked. Nothing was changed."""


class JobFailedError(AgentSessionsError, RuntimeError):
    """The awaited job has failed; the message says why. What it revoked stays so, and it can be resumed."""


class JobCancelledError(AgentSessionsError, RuntimeError):
    """The awaited job was cancelled or undone before it was done."""


class TooManyAffectedError(AgentSessionsError, ValueError):
    """More would go than `max_affected` allows. Nothing was changed."""


class EnqueueError(AgentSessionsError):
    """The broker did not take the message.

    The job is in the ledger, so what it revoked stays revoked and the next run of
    `tasks.resume_stalled_jobs` enqueues it. Its id is in `job_id`.
    """

    def __init__(self, message: str, job_id: str) -> None:
        super().__init__(message)
        self.job_id = job_id

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (str(self), self.job_id)


class StoreError(AgentSessionsError):
    """Redis did not do what was asked."""


class StoreUnavailableError(StoreError, ConnectionError):
    """No connection to the server could be made, so nothing was applied."""


class StoreRefusedError(StoreError):
    """The server answered with an error (no rights, out of memory, read only), so nothing was applied."""


class StoreOutcomeUnknownError(StoreError, TimeoutError):
    """The call was sent and no answer came back: it may or may not have been applied."""


def tls_advice(error: BaseException | None) -> str:
    """Return what to add to the message of a connection error: advice if TLS may be the reason, else "".

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
