"""The worker process. `celery -A worker worker`, `celery -A worker beat` and `celery -A worker flower`
find the app here; importing it also installs the checks made when one of them starts.
"""

from tasks import app
from worker import lifecycle

__all__ = ["app"]

lifecycle.install()
