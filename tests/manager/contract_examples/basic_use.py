import asyncio
from src.agent_runtime.session_manager import SessionManager
import redis

async def main():
    # 创建 SessionManager
    redis_client = redis.Redis(host='localhost', port=6379)
    session_manager = SessionManager(
        conn=redis_client,
        ttl=3600,  # 1小时过期
    )

    # 创建会话
    session = await session_manager.create_session(
        user_id="user_123",
        agent_id="chatbot",
    )

    print(f"Created session: {session.session_id}")

    # 检索会话
    retrieved = await session_manager.get_session(session.session_id)
    print(f"Retrieved: {retrieved.user_id}")

asyncio.run(main())
