"""Calls that a server does not take yet wait in this process, within bounds, and in their order."""

import asyncio

from agent_runtime.manager import SessionManager
from agent_runtime.manager.transport.multiplexed import MultiplexedPipeline
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.support.wait_until import wait_until


def _multiplexed(manager: SessionManager) -> MultiplexedPipeline:
    pipeline = manager._context.client._pipelines[asyncio.get_running_loop()]
    assert isinstance(pipeline, MultiplexedPipeline)
    return pipeline


async def test_calls_without_an_answer_are_bounded(open_manager, proxy: Proxy) -> None:
    manager: SessionManager = open_manager(redis_url=proxy.url())
    session = await manager.create_session("ann", "bot")
    proxy.hold_replies()
    calls = [asyncio.ensure_future(manager.session_exists(session.session_id)) for _ in range(10_000)]
    await asyncio.sleep(0)
    pipeline = _multiplexed(manager)
    await wait_until(
        lambda: len(pipeline._connection.unanswered) > 1_000, description="calls are on their way"
    )
    assert len(pipeline._connection.unanswered) <= 4_096
    assert len(pipeline._unanswered()) == 10_000
    proxy.release_replies()
    assert await asyncio.gather(*calls) == [True] * 10_000
    await manager.aclose()


async def test_bytes_that_the_server_does_not_take_are_bounded(open_manager, breakable: RedisServer) -> None:
    manager: SessionManager = open_manager(
        redis_url=breakable.url(), compress_above_bytes=10**9, dedupe_above_bytes=10**9
    )
    session = await manager.create_session("ann", "bot")
    await manager.save_checkpoint(session.session_id, {})
    breakable.freeze()
    text = "x" * 100_000
    saving = [
        asyncio.ensure_future(manager.save_checkpoint(session.session_id, {"turn": turn, "text": text}))
        for turn in range(300)
    ]
    transport = _multiplexed(manager)._connection._transport
    await wait_until(transport.get_write_buffer_size, description="some to wait")
    await asyncio.sleep(0.2)
    assert 0 < transport.get_write_buffer_size() < 3_000_000  # of 30,000,000
    breakable.thaw()
    await asyncio.gather(*saving)
    found = await manager.list_checkpoints(session.session_id)
    assert [each["data"].get("turn") for each in found] == [None, *range(300)]
    await manager.aclose()
