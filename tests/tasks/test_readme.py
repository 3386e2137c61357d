"""What the README says, run."""

import re
from typing import Any

from agent_runtime.manager import SessionManager
from agent_runtime.manager.settings import ENV_PREFIX, Settings
from tests.support.processes import ROOT, CeleryProcess, run_program
from tests.support.redis_server import RedisServer

_README = (ROOT / "README.md").read_text()


async def test_the_twenty_lines_do_what_their_comments_say(
    server: RedisServer, worker: CeleryProcess, worker_settings: dict[str, Any], manager: SessionManager
) -> None:
    example = re.search(r"```python\n(import asyncio.*?)```", _README, re.DOTALL)
    assert example is not None
    code = example[1].replace("port=6379", f"port={server.port}")
    said = re.findall(r"print\(.*\)  # (\w+)", code)
    # One JSON list out of what it prints, one a line.
    code = (
        f"import json\nprinted = []\nprint, show = printed.append, print\n{code}\nshow(json.dumps(printed))"
    )

    assert [str(value) for value in run_program(code, **worker_settings)] == said


def test_the_table_of_settings_is_complete_and_right() -> None:
    rows = [
        f"| `{ENV_PREFIX}{name.upper()}` | "
        + ("" if field.default is None else f"`{field.default}`")
        + f" | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]

    assert [line for line in _README.splitlines() if line.startswith(f"| `{ENV_PREFIX}")] == rows


def test_every_file_that_the_documents_name_is_there() -> None:
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    named = {
        (document.parent / link).resolve()
        for document in documents
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text())
    }
    named |= {
        ROOT / path
        for document in documents
        for path in re.findall(r"`((?:tests|manager|tasks|worker|deploy)/[\w./]+)`", document.read_text())
    }

    assert [str(path) for path in named if not path.exists()] == []
