"""The check of the product and the one that runs after every test, which shares no code with it, agree."""

import pytest
import redis

from agent_runtime.manager import SessionManager
from tests.integrity.damages import MENDED, Planted, damaged_store, findings
from tests.support import planted_leaks
from tests.support.leftovers import find_leftovers, remove_namespace

#: What the second opinion looks for too.
_BOTH = [
    planted
    for planted in MENDED
    if planted.name.startswith(("immortal", "ghost of", "session is gone", "not in"))
]


@pytest.mark.parametrize("kind", planted_leaks.PLANTED)
async def test_both_see_each_planted_leak(
    manager: SessionManager, raw: redis.Redis, namespace: str, kind: str
) -> None:
    planted_leaks.plant(raw, namespace, planted_leaks.PLANTED[kind])
    assert find_leftovers(raw, namespace)
    left = [finding for finding in await findings(manager, repair=True) if not finding.repaired]
    assert bool(left) == bool(find_leftovers(raw, namespace))
    assert bool(left) == (kind in ("immortal", "lost"))
    assert len(await findings(manager)) == len(left)
    remove_namespace(raw, namespace)


async def test_both_let_pass_what_waits_for_the_sweep(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    seconds, microseconds = raw.time()
    just_now_ms = seconds * 1000 + microseconds // 1000 - 1
    waiting = tuple(
        [part.replace(" 1 ", f" {just_now_ms} ") for part in line] for line in planted_leaks.ALLOWED
    )
    planted_leaks.plant(raw, namespace, waiting)
    raw.zadd(manager._context.partitions.home.user_index("ann"), {"sess_gone": just_now_ms})
    assert find_leftovers(raw, namespace) == []
    assert await findings(manager) == []


@pytest.mark.parametrize("planted", _BOTH, ids=lambda planted: planted.name)
async def test_both_see_damage_before_and_nothing_after_a_repair(
    manager: SessionManager, raw: redis.Redis, namespace: str, planted: Planted
) -> None:
    store = await damaged_store(manager, raw)
    assert (find_leftovers(raw, namespace), await findings(manager)) == ([], [])
    planted.plant(store)
    assert find_leftovers(raw, namespace)
    assert await findings(manager, repair=True)
    assert (find_leftovers(raw, namespace), await findings(manager)) == ([], [])
