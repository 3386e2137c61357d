"""All settings: one frozen object, which `load_settings` reads from the environment.

The variable of a setting is `AGENT_SESSIONS_` and the field's name in capitals. A file `.env` is read too.
"""

from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import from_json
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from agent_runtime.manager.errors import SettingsError
from agent_runtime.manager.validation import LARGEST_CHECKPOINT, LARGEST_COUNT, LONGEST_SECONDS, shown

ENV_PREFIX = "AGENT_SESSIONS_"

#: Most partitions, and so most shards of one job.
MOST_PARTITIONS = 4096


class AgentPruning(BaseModel):
    """The limits of scheduled pruning for one agent's sessions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    agent_id: str = Field(min_length=1)
    keep_last: int | None = Field(None, ge=0, le=LARGEST_COUNT)
    older_than_seconds: float | None = Field(None, gt=0, le=LONGEST_SECONDS)

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.keep_last is None and self.older_than_seconds is None:
            raise ValueError("needs keep_last or older_than_seconds, or both")
        return self


class Settings(BaseSettings):
    """All settings. Names end in their unit, if they have one. A value left out comes from the environment.

    Raises:
        pydantic.ValidationError: a value is not acceptable (a `ValueError`).

    Example:
        >>> settings = Settings(namespace="shop", partitions=8)
        >>> settings.partitions
        8
        >>> shop = SessionManager.from_settings(settings)
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    # URLs may contain passwords, so `repr` leaves them out.
    redis_url: str = Field(
        "redis://localhost:6379/0", description="Server of the sessions and jobs.", repr=False
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
        description="Hash slots over which users are spread. Never change it while there are sessions.",
        ge=1,
        le=MOST_PARTITIONS,
    )
    ttl: int = Field(
        3600, description="Time to live of a session from its creation or last refresh, seconds.", gt=0
    )
    max_sessions: int = Field(10_000, description="Most sessions that may exist at once.", gt=0)

    max_id_bytes: int = Field(512, description="Longest user, agent, session or checkpoint id, bytes.", gt=0)
    max_metadata_bytes: int = Field(
        65_536, description="Largest metadata of one session, bytes as stored.", gt=0
    )
    max_checkpoint_bytes: int = Field(
        8_388_608, description="Largest checkpoint, as JSON, bytes.", gt=0, le=LARGEST_CHECKPOINT
    )
    compress_above_bytes: int = Field(1_024, description="Checkpoints larger than this are compressed.", ge=0)
    dedupe_above_bytes: int = Field(
        4_096,
        description="Checkpoints larger than this, as JSON, are stored in chunks that their session shares.",
        ge=0,
    )
    max_checkpoints: int | None = Field(
        None,
        description="Most unpinned checkpoints of one session; saving another drops the oldest.",
        ge=1,
    )

    call_timeout_seconds: float = Field(
        5.0, description="Longest time the server may take to answer a call.", gt=0
    )
    connect_timeout_seconds: float = Field(2.0, description="Longest time to make a connection.", gt=0)
    connect_retries: int = Field(2, description="Extra tries when a connection fails.", ge=0, le=20)

    slice_seconds: float = Field(
        5.0,
        description="Longest time that a worker spends on one job before another gets its turn.",
        gt=0,
        le=60,
    )
    pace: Literal["polite", "full"] = Field(
        "polite",
        description="Bulk work: `polite` leaves most of the server to others, `full` takes all it can get.",
    )
    batch_target_ms: float = Field(
        2.0,
        description="Time that one script of bulk work should take, ms; with `polite` pace, a part of it.",
        gt=0,
    )
    job_parallelism: int = Field(
        4, description="Most workers on one job, if there are enough partitions.", ge=1
    )
    job_retention_seconds: int = Field(
        604_800, description="Time for which a job's record is kept after the job ends.", ge=3_600
    )
    stalled_after_seconds: float = Field(
        30.0, description="An open job without a heartbeat for this time is resumed.", gt=0
    )
    max_attempts: int = Field(
        5,
        description="A job fails after this many slices in a row that were refused or died without progress.",
        ge=1,
    )

    encryption_keys: SecretStr | None = Field(
        None, description="Keys that encrypt metadata and checkpoints: JSON, 32 bytes in base64 by key id."
    )
    encryption_key_id: str | None = Field(
        None,
        description="Id of the key that encrypts new values. Unset: the first key; `none`: no encryption.",
        repr=False,  # somebody may have put the key itself here
    )
    encryption_required: bool = Field(False, description="Refuse stored values that are not encrypted.")
    user_keys_url: str | None = Field(
        None, description="Server of the user keys, which can be erased: a server of its own.", repr=False
    )

    receipt_key: SecretStr | None = Field(
        None, description="Key of the hashes in receipts. Unset: a key is made and kept in Redis."
    )
    receipt_retention_seconds: int = Field(
        31_536_000, description="Time for which receipts of deletions are kept.", ge=86_400
    )
    residue_check: Literal["index", "store"] = Field(
        "index",
        description="Scope of a deletion's search for residue: the target's `index`, or the whole `store`.",
    )

    sweep_interval_seconds: float = Field(
        60.0, description="Beat: interval of sweeps of expired sessions.", gt=0
    )
    resume_interval_seconds: float = Field(
        15.0, description="Beat: interval of the rescue of stalled jobs.", gt=0
    )
    prune_interval_seconds: float = Field(3_600.0, description="Beat: interval of prunings.", gt=0)
    prune_keep_last: int | None = Field(
        None, description="Beat: prune to this many checkpoints for each session.", ge=0
    )
    prune_older_than_seconds: float | None = Field(None, description="Beat: prune older checkpoints.", gt=0)
    prune_agents: Annotated[tuple[AgentPruning, ...], NoDecode] = Field(
        (), description="Beat: limits of single agents, which replace those for all, as JSON."
    )

    flower_basic_auth: SecretStr | None = Field(
        None, description="Flower: `user:password`. Unset: Flower listens on loopback only."
    )
    flower_api: bool = Field(
        False, description="Flower: turn on its HTTP API, which can stop workers and send tasks."
    )

    @field_validator("flower_basic_auth")
    @classmethod
    def _names_a_user(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            user, _, password = value.get_secret_value().partition(":")
            if not (user and password and value.get_secret_value().isascii()):
                raise ValueError("must be user:password, in ASCII")
        return value

    @field_validator("prune_agents", mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        return from_json(value.encode(), allow_inf_nan=False) if isinstance(value, str) else value

    @field_validator("*")
    @classmethod
    def _can_be_used(cls, value: Any, field: ValidationInfo) -> Any:
        """Refuse texts without UTF-8, times beyond the calendar, and numbers beyond the integers of Redis."""
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str):
            text.encode()
        is_time = str(field.field_name).endswith(("_seconds", "ttl"))
        most = LONGEST_SECONDS if is_time else LARGEST_COUNT
        if isinstance(value, int | float) and value > most:
            raise ValueError(f"must be at most {most}")
        return value


@cache
def load_settings() -> Settings:
    """Return the settings of this process, which are read from the environment once.

    Raises:
        SettingsError: a value is not acceptable; the message has one line for each variable.

    Example:
        >>> load_settings().ttl
        3600
    """
    try:
        return Settings()
    except ValidationError as error:
        # `from None`: the cause would show passwords.
        raise SettingsError("\n".join(map(_line_about, error.errors(include_context=False)))) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f".env cannot be read: {error}") from error


def _line_about(problem: Any) -> str:
    """Return a line that names the variable, its value if the value is no secret, and the problem."""
    name = str(problem["loc"][0])
    field = Settings.model_fields[name]
    is_secret = not field.repr or "SecretStr" in str(field.annotation)
    value = "" if is_secret else f"={shown(problem['input'])}"
    return f"{ENV_PREFIX}{name.upper()}{value}: {problem['msg']}"
