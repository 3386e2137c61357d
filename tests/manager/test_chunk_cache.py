"""What a process keeps of the chunks that it has opened is bounded."""

from agent_runtime.manager.chunks.chunk_cache import NOTHING_OPENED, ChunkCache, Opened


def _opened(size: int, name: str = "0123456789:1") -> Opened:
    return Opened(name, {name: b"x" * size})


def _keep(kept: ChunkCache, session_id: str, opened: Opened) -> None:
    kept.keep(session_id, opened, kept.now())


def test_those_used_last_stay() -> None:
    kept = ChunkCache()
    for number in range(3):
        _keep(kept, f"sess_{number}", _opened(5_000_000))
    assert kept.of("sess_0") == _opened(5_000_000)
    _keep(kept, "sess_3", _opened(5_000_000))
    assert kept.of("sess_1") is NOTHING_OPENED
    assert all(kept.of(f"sess_{number}") is not NOTHING_OPENED for number in (0, 2, 3))


def test_many_of_one_session_take_the_place_of_one() -> None:
    kept = ChunkCache()
    _keep(kept, "sess_1", _opened(1_000))
    for _ in range(100):
        _keep(kept, "sess_2", _opened(10_000_000))
    assert kept.of("sess_1") == _opened(1_000)
    assert kept.of("sess_2") == _opened(10_000_000)


def test_what_is_too_large_or_has_too_long_a_list_is_not_kept() -> None:
    kept = ChunkCache()
    _keep(kept, "sess_1", _opened(100_000_000))
    assert kept.of("sess_1") is NOTHING_OPENED
    _keep(kept, "sess_1", _opened(1))
    _keep(kept, "sess_1", _opened(1, "0123456789:1," * 100))
    assert kept.of("sess_1") is NOTHING_OPENED


def test_what_was_forgotten_is_not_there_and_leaves_its_room() -> None:
    kept = ChunkCache()
    for number in range(100):
        _keep(kept, f"sess_{number}", _opened(10_000_000))
        kept.drop_session(f"sess_{number}")
        assert kept.of(f"sess_{number}") is NOTHING_OPENED
    kept.drop_session("sess_1")
    _keep(kept, "sess_1", _opened(10_000_000))
    assert kept.of("sess_1") == _opened(10_000_000)
