"""`celery -A worker worker`, `celery -A worker beat` and `celery -A worker flower` find the app here;
importing it also installs the checks made when one of them starts.

It is not in the package's `__init__`, because the command line must be there to say what is wrong with a
setting, and the app cannot be had with a wrong one.
"""

if __name__ == "celery":  # the folder of this file is on sys.path, before the one in which Celery lies
    raise ImportError(f"{__file__} hides Celery: take its folder off sys.path, and import agent_runtime")

from agent_runtime.tasks import app
from agent_runtime.worker import lifecycle

__all__ = ["app"]

lifecycle.install()
