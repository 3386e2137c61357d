"""The managers do what the model does, in any order of steps. `make model` goes on for longer."""

import os
from collections.abc import Callable

import pytest

from agent_runtime.manager import SessionManager
from tests.model.machine import Machine
from tests.model.run import run

#: Seed to begin elsewhere. A failure names the seed to repeat it with.
_SEED_VARIABLE = "AGENT_SESSIONS_TEST_SEED"
_STEPS = 20_000

#: Events that must happen in so many steps, or the model says little about them.
EVENTS = {
    "a copy was older than the truth",
    "a deletion of an owner's sessions (agent)",
    "a deletion of an owner's sessions (user)",
    "a deletion reclaimed what another had revoked",
    "a grace was over",
    "a job failed",
    "a job reclaimed its sessions",
    "a job restored its sessions",
    "a live session was read",
    "a merge was too large",
    "a pruning passed over a pin",
    "a pruning by a number",
    "a pruning by an age",
    "a pruning of agent",
    "a pruning of all",
    "a pruning of session",
    "a pruning was drained",
    "a direct deletion took over what a job had revoked",
    "a request joined a job: False",
    "a request joined a job: True",
    "a request was repeated",
    "a revoked session ran out",
    "a save dropped the oldest",
    "a session ran out",
    "a session that is not live was read",
    "a session was handed over",
    "a slice left something to reclaim",
    "a slice left something to restore",
    "a sweep found something",
    "cancel: allowed",
    "cancel: refused",
    "lost: connections",
    "lost: copies",
    "lost: scripts",
    "metadata was too large",
    "pause: allowed",
    "pause: refused",
    "refused, for the same is being undone",
    "refused, for too many would go",
    "resume: allowed",
    "resume: refused",
    "sessions were revoked (agent)",
    "sessions were revoked (user)",
    "the cap was hit",
    "the cap was hit by gathered calls",
    "undo: allowed",
    "undo: refused",
}


@pytest.mark.timeout(900)
def test_managers_do_what_the_model_does(record_property: Callable[[str, object], None]) -> None:
    seed = int(os.environ.get(_SEED_VARIABLE, 1))
    *_, tally = run(_STEPS, seed, shrink=False)
    record_property("model", f"{tally.steps:,} steps from seed {seed}")
    assert tally.steps >= _STEPS
    assert tally.rules.keys() == {rule.function.__name__ for rule in Machine.setup_state().rules}
    assert tally.events.keys() >= EVENTS
    elsewhere = {"from_settings", "erase_user_key"}  # the latter needs a server of keys
    methods = {name for name in dir(SessionManager) if not name.startswith("_")} - elsewhere
    assert tally.methods.keys() >= methods
