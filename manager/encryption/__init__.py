"""Encryption of stored metadata and checkpoints, if keys are set.

    providers        KeyProvider: chooses the key for each value; all that the manager knows of
    keyed_provider   KeyedProvider: the same, with the keys of the settings and of the users
    sealing          Encryptor and Decryptor: the interfaces, without keys and cryptography
    cipher           AES-256-GCM under a key derived for each session, and the envelope
    key_ring         the keys of the settings
    user_keys        the keys of the users, on a server of their own

no keys set                values are stored in the clear
`encryption_keys` set      one key of the ring encrypts everything
`user_keys_url` set too    each session created from then on is encrypted under its user's own key

Only `providers` and `sealing` can be imported without the package `cryptography`.
"""

from agent_runtime.manager.encryption.providers import KeyProvider
from agent_runtime.manager.errors import SettingsError
from agent_runtime.manager.settings import ENV_PREFIX, Settings
from agent_runtime.manager.transport.script_client import ScriptClient


def open_key_provider(settings: Settings, client: ScriptClient) -> KeyProvider:
    """Return the key provider for the sessions of this store.

    Raises:
        SettingsError: the settings contradict each other, or `cryptography` is not installed.
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
