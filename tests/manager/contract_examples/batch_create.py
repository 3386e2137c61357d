# 批量创建更高效
async def batch_create():
    session_manager = SessionManager(conn=redis_client)

    tasks = [
        session_manager.create_session(f"user_{i}", "chatbot")
        for i in range(100)
    ]

    sessions = await asyncio.gather(*tasks)
    return sessions
