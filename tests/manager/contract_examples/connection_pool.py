# 使用连接池提高性能
pool = redis.ConnectionPool(
    host='localhost',
    port=6379,
    max_connections=50,
)

redis_client = redis.Redis(connection_pool=pool)
session_manager = SessionManager(conn=redis_client)
