async def main():
    session_manager = SessionManager(conn=redis_client)

    # 创建会话
    session = await session_manager.create_session(
        user_id="user_123",
        agent_id="chatbot",
    )

    # 保存检查点
    checkpoint_id = await session_manager.save_checkpoint(
        session.session_id,
        {
            "state": "conversation_active",
            "turn": 1,
            "history": [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Hi there!"},
            ],
        },
    )

    print(f"Saved checkpoint: {checkpoint_id}")

    # 检索检查点
    checkpoint = await session_manager.get_checkpoint(
        session.session_id,
        checkpoint_id,
    )

    print(f"Checkpoint state: {checkpoint['data']['state']}")

asyncio.run(main())
