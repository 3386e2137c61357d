"""Model checking: a state machine drives real managers on a real server, and a plain model beside them.

`model.py` and `jobs.py` are the model, without Redis. `stored.py` maps the model to keys in Redis and
compares it with everything there. The `*_rules.py` are the steps; `machine.py` combines them; `run.py` runs
them.
"""

import pytest

_WITH_ASSERTIONS = ("base", "session_rules", "checkpoint_rules", "bulk_rules", "job_rules", "work_rules")
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in _WITH_ASSERTIONS))
