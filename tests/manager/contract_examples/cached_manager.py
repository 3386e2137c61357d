from functools import lru_cache

class CachedSessionManager(SessionManager):
    def __init__(self, *args, cache_size=100, **kwargs):
        super().__init__(*args, **kwargs)
        self._cache = {}

    async def get_session(self, session_id: str):
        # 检查缓存
        if session_id in self._cache:
            return self._cache[session_id]

        # 从 Redis 获取
        session = await super().get_session(session_id)

        # 缓存结果
        if session:
            self._cache[session_id] = session

        return session
