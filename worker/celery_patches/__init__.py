"""Corrections of Celery and kombu.

The docstring of each module names the upstream issue that it works around, the versions with which the fault
was seen, and the condition that ends the module. `tests/planted/scenarios.toml` has a bug that removes each
of them: if the bug is no longer found after an upgrade, the module is no longer needed.
"""
