"""Many real processes at once on the same sessions, and a record of what each was answered, and when.

Each test releases four processes (`crew.py`) at the same moment. They write down every operation with the
moments of its call and of its answer (`history.py`), and the test judges the history. Where an operation has
a simple sequential meaning (`specifications.py`), the history has to be *linearizable*: some order of the
operations, which puts none before one that was answered before it was called, explains every answer
(`linearizability.py`). Elsewhere the test states what must hold.

A race shows itself only sometimes, so each test has several rounds. `AGENT_SESSIONS_TEST_ROUNDS=50` makes
them fifty times as many, for a long run:

    AGENT_SESSIONS_TEST_ROUNDS=50 python -m pytest tests/concurrency
"""
