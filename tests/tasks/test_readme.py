"""The code in the README, run."""

import re
from typing import Any

from agent_runtime.manager import SessionManager
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
