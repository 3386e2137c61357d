"""Nasty cases, kept: inputs that have failed here once, and inputs that have failed elsewhere.

A fuzz test takes its part of this file before the inputs that it makes up. Whoever finds a new failure adds
it here.
"""

import collections
import enum
import types
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

#: Texts that mean something to Redis, Lua, JSON, a terminal, a URL or a path.
TEXTS = [
    "",
    " ",
    "  ",
    "\x00",
    "a\x00b",
    "a\nb",
    "\r\n",
    "\t",
    "\x1b[31m",
    "\x7f",
    "*",
    "?",
    "[a-z]",
    "{}",
    "{0}",
    "}{",
    ":",
    "::",
    "u:ann",
    "ann:a:bot",
    "m:x",
    "p:ckpt",
    "user",
    "agent",
    "created",
    "expires",
    "size",
    "pins",
    "assigned",
    "state",
    "%",
    "%S+",
    "%d %s",
    "^(%S+) (%d+) ()",
    "\\",
    "'",
    '"',
    "'; redis.call('FLUSHALL') --",
    '{"a": 1}',
    "null",
    "NaN",
    "1e400",
    "0",
    "-0",
    "1",
    "01",
    "-1",
    "3 ann",
    " 3 annbot",
    "sess_000 3 annbot",
    "job_1:1",
    "../../etc/passwd",
    "--help",
    "-",
    "é",
    "e\u0301",
    "漢字",
    "🙂",
    "👩‍👩‍👧‍👦",
    "\u202eright to left",
    "\u2028",
    "\ufeff",
    "\ufffe",
    "\U0010ffff",
    "\u0660\u0661",
    "²",
    "x" * 512,
    "é" * 256,
]

#: Halves of emojis, as streams of tokens bring them: they have no UTF-8, but JSON can hold them.
HALVES = ["\ud83d", "\ude42", "a\ud83d", "\ud83d\x00", "\ude42\ud83d", "\ud83d\ude42", "é\ud83d🙂"]

IDS = [text for text in TEXTS if text]

BAD_IDS: list[Any] = [
    "",
    *HALVES,
    "x" * 513,
    "é" * 257,
    None,
    7,
    1.5,
    True,
    b"bytes",
    bytearray(b"bytes"),
    ["x"],
    ("x",),
    {"x": 1},
    {"x"},
    object(),
]

#: Pairs of a user and an agent whose texts are the same once joined in the expiry index.
CONFUSABLE_PAIRS = [
    [("ann", "bot"), ("annb", "ot"), ("an", "nbot"), ("a", "nnbot"), (" ", "annbot")],
    [("1 a", "b"), ("1", " ab"), ("1 ", "ab")],
    [("3 ann", "bot"), ("3", " annbot")],
    [(" ann", "bot"), ("  ann", "bot"), ("ann", " bot")],
    [("a", "b"), ("b", "a"), ("a", "a"), ("b", "b")],
    [("\x00", "\x00\x00"), ("\x00\x00", "\x00")],
    [("é", "é"), ("e\u0301", "é"), ("é", "e\u0301")],
    [("*", "*"), ("?", "?"), ("[a-z]", "x")],
]


def nested(depth: int, *, of: type = list) -> Any:
    """Return None inside so many lists, or dictionaries."""
    value: Any = None
    for _ in range(depth):
        value = [value] if of is list else {"k": value}
    return value


#: JSON objects that have to come back unchanged.
OBJECTS: list[dict[str, Any]] = [
    {},
    *({text: text} for text in TEXTS),
    *({"half": text} for text in HALVES),
    {"in": {half: half for half in HALVES}},
    {"k" * 60_000: 1},
    {"🙂" * 10_000: 1},
    {"big": 2**64, "bigger": -(2**200), "biggest": 10**4_299},
    {"beyond a double": 9_007_199_254_740_993},
    {
        "floats": [
            0.1 + 0.2,
            -0.0,
            0.0,
            1.0,
            1e308,
            -1e308,
            5e-324,
            2.2250738585072014e-308,
            1e16,
            123456789.0,
        ]
    },
    {"empty": [[], {}, "", None, [[]], [{}], {"": {}}]},
    {"booleans": [True, False, 1, 0, 1.0, 0.0]},
    {"same": [shared := {"a": []}, shared, shared]},
    {"deep": nested(200)},
    {"deep": nested(200, of=dict)},
    {str(number): number for number in range(3_000)},
    {"long": ["x" * 1_000] * 50},
]


class _Items(BaseModel):
    a: int = 1


class _Loop(dict[str, Any]):
    def __init__(self) -> None:
        self["self"] = self

    def __repr__(self) -> str:
        return "<loop>"


class _Deep(dict[str, Any]):
    def __init__(self, depth: int, of: type) -> None:
        self["k"] = nested(depth, of=of)

    def __repr__(self) -> str:
        return "<deep>"


#: Values that JSON cannot hold, at any depth.
NOT_JSON: list[Any] = [
    float("nan"),
    float("inf"),
    float("-inf"),
    b"bytes",
    bytearray(b"bytes"),
    memoryview(b"bytes"),
    object(),
    object,
    len,
    {1, 2},
    frozenset(),
    (),
    (1,),
    collections.namedtuple("Point", "x")(1),
    range(3),
    collections.deque([1]),
    collections.UserDict(a=1),
    types.MappingProxyType({}),
    {}.items(),
    Decimal(1),
    1j,
    datetime(2020, 1, 1, tzinfo=UTC),
    timedelta(1),
    _Items(),
    enum.Enum("Colour", "RED").RED,  # type: ignore[attr-defined]
    NotImplemented,
    ...,
    {1: "a"},
    {None: "a"},
    {True: "a"},
    {1.5: "a"},
    {b"k": "a"},
    {("a",): "a"},
    {"a": 1, 2: "b"},
    _Loop(),
    _Deep(400, list),
    _Deep(400, dict),
    _Deep(100_000, list),
]

#: Values that are no JSON object as a whole.
NO_OBJECTS: list[Any] = [None, [], [("a", 1)], "text", "{}", b"{}", 0, 1.5, True, {"a"}, object(), _Items()]


class _Text(str):
    __slots__ = ()


class _Int(int):
    pass


class _Float(float):
    pass


class _List(list[Any]):
    pass


#: Values of a type derived from one of JSON's, and the value that comes back.
DERIVED: list[tuple[Any, Any]] = [
    (_Text("a"), "a"),
    (enum.StrEnum("Colour", "RED").RED, "red"),  # type: ignore[attr-defined]
    (_Int(2**70), 2**70),
    (enum.IntEnum("Colour", "RED").RED, 1),  # type: ignore[attr-defined]
    (_Float(0.1), 0.1),
    (_List([1]), [1]),
    (collections.OrderedDict(a=1), {"a": 1}),
    (collections.defaultdict(int, a=1), {"a": 1}),
    (collections.Counter("a"), {"a": 1}),
    ({_Text("k"): _Text("v")}, {"k": "v"}),
]


class _NoOffset(tzinfo):
    """A time zone without an offset: to Python, a datetime in it is one without a zone."""

    def utcoffset(self, when: datetime | None) -> None:
        return None

    def dst(self, when: datetime | None) -> None:
        return None

    def tzname(self, when: datetime | None) -> str:
        return "nowhere"


_EAST, _WEST = timezone(timedelta(hours=23, minutes=59)), timezone(-timedelta(hours=23, minutes=59))

MOMENTS: list[Any] = [
    *(datetime.min.replace(tzinfo=zone) for zone in (UTC, _EAST, _WEST)),
    *(datetime.max.replace(tzinfo=zone) for zone in (UTC, _EAST, _WEST)),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_001, tzinfo=UTC),
    datetime(2262, 4, 12, tzinfo=UTC),
    datetime(2255, 6, 6, tzinfo=_WEST),
    datetime(2200, 1, 1),  # noqa: DTZ001
    datetime(2200, 1, 1, tzinfo=_NoOffset()),
    datetime(2200, 1, 1, tzinfo=UTC).date(),
    "2200-01-01T00:00:00Z",
    7_258_118_400,
    7_258_118_400.0,
    None,
]

NUMBERS: list[Any] = [
    0,
    1,
    -1,
    0.0,
    -0.0,
    0.4,
    0.5,
    1.5,
    1e-9,
    5e-324,
    1e308,
    2**31,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64,
    100_000_000_000,
    100_000_000_000.5,
    10**18,
    10**400,
    -(10**400),
    float("nan"),
    float("inf"),
    float("-inf"),
    True,
    False,
    None,
    "3",
    "",
    b"3",
    [],
    [3],
    {},
    Decimal("1.5"),
    3j,
    timedelta(0),
    timedelta(microseconds=1),
    timedelta(days=1),
    timedelta(days=-1),
    timedelta.max,
    timedelta.min,
]

#: Numbers of more digits than Python turns into text, even for a test's report. So these are not handed to
#: hypothesis.
HUGE: list[Any] = [10**4_300, -(10**4_300), 10**20_000]

#: Bytes that lie in Redis instead of those written by this package.
STORED: list[bytes] = [
    b"",
    b" ",
    b"\x00",
    b"\xff",
    b"\xff\xfe{\x00}\x00",
    b"0",
    b"-1",
    b"1.5",
    b"1e400",
    b"inf",
    b"nan",
    b"-nan",
    b"9" * 400,
    b"9223372036854775808",
    b"253402300800000",
    b"0x10",
    b"1_000",
    b"\xd9\xa1",
    b"null",
    b"NaN",
    b"[]",
    b"{}",
    b'"text"',
    b"{",
    b'{"a":1}{"b":2}',
    b"[" * 5_000 + b"]" * 5_000,
    b"j",
    b"jnull",
    b"j[]",
    b"jNaN",
    b"j{}",
    b"j\xff",
    b"j" + b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b"z",
    b"z\x78\x01",
    b"znothing",
    b"e",
    b"x",
    b"done",
    b"running",
    b"undoing",
    b"delete_user_sessions",
    b'{"user_id":1}',
    b'{"user_id":"ann"}',
    b'{"agent_id":null}',
    b'{"keep_last":"x"}',
    b'{"unknown":1}',
]

#: Scores that no script has written.
SCORES: list[float] = [
    0.0,
    -0.0,
    -1.0,
    0.5,
    1.5,
    1_700_000_000_000_000.5,
    9_007_199_254_740_993.0,
    1e15,
    1e17,
    1e19,
    1e300,
    -1e300,
    5e-324,
    float("inf"),
    float("-inf"),
]

#: Values of environment variables.
ENVIRONMENT: list[str] = [
    *(text for text in TEXTS if "\x00" not in text),
    "\udcff",
    "a\udc80",
    "redis://:hunter2@localhost:6379/0",
    "redis://:hunter2@[::1",
    "redis://:hunter2@[v1.x]:6379",
    "redis://:hunter2@host:port/0",
    "redis://:hunter2@host:99999999/0",
    "redis://:hunter2@host/²",
    "redis://:hunter2@host/0?db=²",
    "redis://:hunter2@host/0?max_connections=x",
    "redis://:hunter2@host/0?unknown=1",
    "redis://:hunter2@host/0?protocol=9",
    "redis://:hunter2@host/0?password=\udcff",
    "redis://:hunter2@\udcff/0",
    "rediss://:hunter2@host/0?ssl_cert_reqs=maybe",
    "unix://:hunter2@/socket?db=x",
    "unix://",
    "http://:hunter2@host/0",
    "redis://:hunter2@host:6379/" + "9" * 5_000,
    "redis+socket://:hunter2@/x",
    "memory://:hunter2@",
    "pyamqp://x:hunter2@[::1",
    "nan",
    "inf",
    "-inf",
    "1e308",
    "1e-320",
    "9" * 30,
    "9" * 400,
    "9" * 5_000,
    "1_000",
    " 5 ",
    "5.0",
    "5.5",
    "true",
    "[]",
    "[1]",
    "{}",
    "{",
    '{"agent_id": "bot"}',
    '[{"agent_id": "bot"}]',
    '[{"agent_id": "", "keep_last": 1}]',
    '[{"agent_id": "bot", "keep_last": -1}]',
    '[{"agent_id": "bot", "keep_last": 1, "more": 1}]',
    '[{"agent_id": "bot", "older_than_seconds": NaN}]',
    '[{"agent_id": "bot", "older_than_seconds": 1e999}]',
    '[{"agent_id": "\\ud83d", "keep_last": 1}]',
    "[" * 5_000,
]
