async def multi_turn_conversation():
    session_manager = SessionManager(conn=redis_client)

    # 创建会话
    session = await session_manager.create_session(
        user_id="user_123",
        agent_id="chatbot",
    )

    conversation_history = []

    # 第一轮
    user_message_1 = "What's the weather like?"
    assistant_response_1 = "I'd be happy to help check the weather. Where are you located?"

    conversation_history.extend([
        {"role": "user", "content": user_message_1},
        {"role": "assistant", "content": assistant_response_1},
    ])

    # 保存检查点
    await session_manager.save_checkpoint(
        session.session_id,
        {
            "turn": 1,
            "history": conversation_history,
        },
    )

    # 第二轮
    user_message_2 = "I'm in Beijing"
    assistant_response_2 = "The weather in Beijing is currently sunny with a high of 25°C."

    conversation_history.extend([
        {"role": "user", "content": user_message_2},
        {"role": "assistant", "content": assistant_response_2},
    ])

    # 保存最终检查点
    await session_manager.save_checkpoint(
        session.session_id,
        {
            "turn": 2,
            "history": conversation_history,
            "complete": True,
        },
    )

asyncio.run(multi_turn_conversation())
