"""The tools of the benchmarks do what they say."""

import time
import zlib

import redis
from benchmarks.slow_network import slowed
from benchmarks.talk import checkpoint_of, conversation, sentences, talk

from agent_runtime.manager.json_text import as_json
from tests.support.redis_server import RedisServer


def test_a_conversation_has_the_size_it_is_asked_for_to_the_byte() -> None:
    for size in (400, 2_048, 51_200, 1_048_576):
        assert len(as_json(conversation(size))) == size


def test_no_sentence_of_a_conversation_is_said_twice() -> None:
    said = " ".join(message["content"] for message in talk(50))
    assert len(set(sentences())) == len(sentences())
    assert all(said.count(sentence) <= 1 for sentence in sentences() if len(sentence) > 40)


def test_a_conversation_is_as_long_and_as_hard_to_compress_as_english() -> None:
    turns = [as_json(checkpoint_of(talk(50), turn)) for turn in range(1, 51)]
    assert 700_000 < sum(map(len, turns)) < 790_000
    assert 2.2 < len(turns[-1]) / len(zlib.compress(turns[-1])) < 3.5


def test_the_slow_network_holds_every_reply_back_and_loses_nothing(server: RedisServer) -> None:
    with slowed(server.url(), 0.05) as url, redis.Redis.from_url(url) as client:
        client.ping()
        taken = []
        for number in range(5):
            started = time.perf_counter()
            assert client.echo(b"x" * 300_000 + b"%d" % number).endswith(b"x%d" % number)
            taken.append(time.perf_counter() - started)
    assert min(taken) >= 0.05
