"""All settings, in one frozen object that one function reads from the environment.

Every variable is the field's name in capitals behind `AGENT_SESSIONS_`. A `.env` file is honoured.
"""

from functools import cache

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from manager.errors import SettingsError

ENV_PREFIX = "AGENT_SESSIONS_"


class Settings(BaseSettings):
    """What can be set. Names end in their unit where they have one.

    Example:
        >>> Settings(namespace="shop", partitions=8).namespace
        'shop'
    """

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_file=".env", extra="ignore", frozen=True)

    # Addresses may hold passwords, so `repr` leaves them out.
    redis_url: str = Field(
        "redis://localhost:6379/0", description="Where sessions and jobs are kept.", repr=False
    )
    broker_url: str | None = Field(
        None, description="Celery's broker. Unset: `redis_url`, next database.", repr=False
    )
    result_backend: str | None = Field(
        None, description="Celery's results. Unset: `redis_url`, next but one.", repr=False
    )

    namespace: str = Field(
        "agent_sessions", description="First part of every key.", pattern=r"^[^{}\s]{1,64}$"
    )
    partitions: int = Field(
        1,
        description="Slots over which users are spread. Never change it while there are sessions.",
        ge=1,
        le=4096,
    )
    ttl: int = Field(3600, description="Life of a session from its creation or last refresh, seconds.", gt=0)
    max_sessions: int = Field(10_000, description="Most sessions that may exist at once.", gt=0)

    max_id_bytes: int = Field(512, description="Longest user, agent, session or checkpoint id, bytes.", gt=0)
    max_metadata_bytes: int = Field(65_536, description="Largest metadata of one session, bytes.", gt=0)
    max_checkpoint_bytes: int = Field(8_388_608, description="Largest checkpoint, as JSON, bytes.", gt=0)
    compress_above_bytes: int = Field(1_024, description="Checkpoints larger than this are compressed.", ge=0)

    call_timeout_seconds: float = Field(5.0, description="Longest the server may take to answer.", gt=0)
    connect_retries: int = Field(2, description="Extra tries when a connection fails.", ge=0, le=20)

    slice_seconds: float = Field(5.0, description="Longest a worker stays with one job.", gt=0, le=60)
    batch_target_ms: float = Field(2.0, description="Time one batch of bulk work should take, ms.", gt=0)
    job_retention_seconds: int = Field(604_800, description="How long a job's record is kept.", ge=3_600)
    stalled_after_seconds: float = Field(30.0, description="A job silent for longer is taken up again.", gt=0)

    sweep_interval_seconds: float = Field(60.0, description="Beat: between sweeps of expired sessions.", gt=0)
    resume_interval_seconds: float = Field(15.0, description="Beat: between looks for stalled jobs.", gt=0)
    prune_interval_seconds: float = Field(3_600.0, description="Beat: between prunings.", gt=0)
    prune_keep_last: int | None = Field(None, description="Beat: keep this many checkpoints a session.", ge=0)
    prune_older_than_seconds: float | None = Field(None, description="Beat: drop older checkpoints.", gt=0)


@cache
def load_settings() -> Settings:
    """The settings of this process, read from the environment once.

    Raises:
        SettingsError: a value is wrong; the message has one line per variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"{ENV_PREFIX}{str(problem['loc'][0]).upper()}={problem['input']!r}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise SettingsError("\n".join(lines)) from error
