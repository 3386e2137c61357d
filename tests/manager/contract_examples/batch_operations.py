async def batch_operations():
    session_manager = SessionManager(conn=redis_client)

    # 批量创建会话
    tasks = []
    for i in range(10):
        task = session_manager.create_session(
            user_id=f"user_{i}",
            agent_id="chatbot",
        )
        tasks.append(task)

    sessions = await asyncio.gather(*tasks)
    print(f"Created {len(sessions)} sessions")

    # 获取特定用户的所有会话
    user_sessions = await session_manager.get_sessions_by_user("user_5")
    print(f"User 5 has {len(user_sessions)} sessions")

asyncio.run(batch_operations())
