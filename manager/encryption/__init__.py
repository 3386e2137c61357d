"""Encryption of what is stored, where keys are set.

    vault       which key seals and opens what: all that the manager knows of
    sealing     what seals and opens values, in words: no keys, no cryptography
    cipher      AES-256-GCM under a key derived for each session, and the envelope
    key_ring    the keys that the settings give
    user_keys   the keys that users have, on a server of their own
    scripts     that server's scripts

Only `vault` and `sealing` can be imported without the package `cryptography`.
"""
