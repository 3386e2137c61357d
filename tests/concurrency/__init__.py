"""Many real processes at once on the same sessions, with a record of each answer and its time.

Each test releases four processes (`crew.py`) at the same moment. They record every operation with the times
of its call and of its answer (`history.py`), and the test judges the history. If an operation has a simple
sequential meaning (`specifications.py`), the history has to be *linearizable*: some order of the operations
explains every answer, and puts no operation before one that was answered before it was called
(`linearizability.py`). Otherwise the test states what must hold.

A race shows itself only sometimes, so each test has several rounds. `AGENT_SESSIONS_TEST_ROUNDS=50` makes
them fifty times as many, for a long run:

    AGENT_SESSIONS_TEST_ROUNDS=50 python -m pytest tests/concurrency
"""
