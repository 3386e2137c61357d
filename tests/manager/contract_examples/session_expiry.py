async def handle_session_expiry():
    session_manager = SessionManager(
        conn=redis_client,
        ttl=60,  # 1分钟过期（用于测试）
    )

    # 创建会话
    session = await session_manager.create_session(
        user_id="user_123",
        agent_id="chatbot",
    )

    # 立即访问 - 成功
    retrieved = await session_manager.get_session(session.session_id)
    print(f"Immediate access: {retrieved is not None}")  # True

    # 等待过期
    await asyncio.sleep(61)

    # 过期后访问 - 失败
    retrieved = await session_manager.get_session(session.session_id)
    print(f"After expiry: {retrieved is not None}")  # False

asyncio.run(handle_session_expiry())
