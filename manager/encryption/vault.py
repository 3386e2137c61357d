"""The vault that the settings ask for.

no keys set                values lie in the clear
`encryption_keys`          one key of the ring seals everything
`user_keys_url` as well    a session created from then on is sealed under its user's own key
"""

from manager.encryption.sealing import Vault
from manager.errors import SettingsError
from manager.settings import ENV_PREFIX, Settings
from manager.store import Store


def open_vault(settings: Settings, store: Store) -> Vault:
    """The vault for sessions in this store.

    Raises:
        SettingsError: the settings do not fit together, or `cryptography` is not installed.
    """
    if settings.encryption_keys is None:
        for name in ("encryption_key_id", "encryption_required", "user_keys_url"):
            if getattr(settings, name):
                raise SettingsError(f"{ENV_PREFIX}{name.upper()} needs {ENV_PREFIX}ENCRYPTION_KEYS")
        return Vault()
    try:
        from manager.encryption.keyed_vault import KeyedVault
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{ENV_PREFIX}ENCRYPTION_KEYS needs a package that is not installed ({error.name}):"
            " pip install 'agent-sessions[encryption]'"
        ) from error
    return KeyedVault(settings, store)
