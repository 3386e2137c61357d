"""No script tells anything of a session without asking whether it is live; the exceptions are listed here."""

import re

import pytest

from agent_runtime.manager.transport.script import load_script
from tests.lua.test_headers import SCRIPTS

#: A script as sent names the hash, the checkpoints or their order of some session.
_OF_A_SESSION = re.compile(r"'[sco]:'|session_key|keys\.session|own_keys")

#: Writes into any hash, also of a job.
_SET_FIELDS = re.compile(r"^local function set_fields\(.*?^end\n", re.MULTILINE | re.DOTALL)

#: What asks both indexes. A script is sent with the functions that it calls, and with no others.
_ASKS = re.compile(r"^local function (live_session|live_fields|keep_listed|is_listed_by_both)\(", re.M)

#: Scripts that ask for themselves, or need not ask, because they tell nothing of a session to a caller.
_NEED_NOT_ASK = {
    "integrity/check_index": "is what compares indexes with sessions",
    "integrity/check_order": "compares checkpoints with their order, for the check alone",
    "integrity/check_session": "is what compares sessions with indexes",
    "jobs/count_residue": "counts what is not live",
    "jobs/reclaim_batch": "removes what is revoked",
    "jobs/restore_batch": "makes revoked sessions live again",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_that_reads_a_session_asks_whether_it_is_live(name: str) -> None:
    source = _SET_FIELDS.sub("", load_script(name).source)
    touches = bool(_OF_A_SESSION.search(source))
    asks = bool(_ASKS.search(source))
    assert touches <= (asks or name in _NEED_NOT_ASK), name
    assert not (asks and name in _NEED_NOT_ASK), f"{name} asks, so it needs no exception"
    assert touches or name not in _NEED_NOT_ASK, f"{name} touches no session, so it needs no exception"


def test_the_exceptions_are_scripts() -> None:
    assert {*_NEED_NOT_ASK} <= {*SCRIPTS}
