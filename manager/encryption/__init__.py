"""Encryption of what is stored, if keys are set.

    providers        which key encrypts what: all that the manager knows of
    keyed_provider   the same with the keys of the settings and of the users
    sealing          what encrypts and decrypts values, in words: no keys, no cryptography
    cipher           AES-256-GCM under a key derived for each session, and the envelope
    key_ring         the keys that the settings give
    user_keys        the keys that users have, on a server of their own

no keys set                values lie in the clear
`encryption_keys`          one key of the ring encrypts everything
`user_keys_url` as well    a session created from then on is encrypted under its user's own key

Only `providers` and `sealing` can be imported without the package `cryptography`.
"""

from agent_runtime.manager.encryption.providers import KeyProvider
from agent_runtime.manager.errors import SettingsError
from agent_runtime.manager.settings import ENV_PREFIX, Settings
from agent_runtime.manager.transport.script_client import ScriptClient


def open_key_provider(settings: Settings, client: ScriptClient) -> KeyProvider:
    """The key_provider for sessions in this store.

    Raises:
        SettingsError: the settings do not fit together, or `cryptography` is not installed.
    """
    if settings.encryption_keys is None:
        for name in ("encryption_key_id", "encryption_required", "user_keys_url"):
            if getattr(settings, name):
                raise SettingsError(f"{ENV_PREFIX}{name.upper()} needs {ENV_PREFIX}ENCRYPTION_KEYS")
        return KeyProvider()
    try:
        from agent_runtime.manager.encryption.keyed_provider import KeyedProvider
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{ENV_PREFIX}ENCRYPTION_KEYS needs a package that is not installed ({error.name}):"
            " pip install 'agent-sessions[encryption]'"
        ) from error
    return KeyedProvider(settings, client)
