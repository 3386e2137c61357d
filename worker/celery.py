"""The Celery app of the processes: `celery -A agent_runtime worker`, `… beat` and `… flower`.

In a checkout, `celery -A worker worker` finds the same app. Importing this module also installs the checks at
start and the corrections of Celery, so every spelling has them.

The app is not in the package's `__init__`: a wrong setting keeps it from being imported, and the command line
must still be able to say which setting is wrong.
"""

if __name__ == "celery":  # the folder of this file is on sys.path, before the one in which Celery lies
    raise ImportError(f"{__file__} hides Celery: take its folder off sys.path, and import agent_runtime")

from agent_runtime.tasks import app
from agent_runtime.worker import lifecycle

__all__ = ["app"]

lifecycle.install()
