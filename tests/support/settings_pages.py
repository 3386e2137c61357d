"""The tables of settings in README.md and docs/settings.md.

Which settings stand in which table is decided by hand. `python -m tests.support.settings_pages` writes their
defaults and descriptions anew.
"""

import re

from agent_runtime.manager.settings import ENV_PREFIX, Settings
from tests.support.processes import ROOT

#: The page that has all settings.
ALL = ROOT / "docs" / "settings.md"

#: The page that has the most used ones.
SOME = ROOT / "README.md"

_ROW = re.compile(rf"^\| `{ENV_PREFIX}(\w+)` \|.*$", re.MULTILINE)


def named(text: str) -> list[str]:
    """Return the field names of the settings in a page's tables, in their order."""
    return [name.lower() for name in _ROW.findall(text)]


def refreshed(text: str) -> str:
    """Return the page with each setting's row as the code has it."""
    return _ROW.sub(lambda row: _row(row[1].lower()), text)


def _row(name: str) -> str:
    field = Settings.model_fields[name]
    default = "" if field.default is None else f"`{field.default}`"
    return f"| `{ENV_PREFIX}{name.upper()}` | {default} | {field.description} |"


if __name__ == "__main__":
    for page in (ALL, SOME):
        page.write_text(refreshed(page.read_text()))
