"""The whole machine."""

from tests.model.batch_rules import BatchRules
from tests.model.checkpoint_rules import CheckpointRules
from tests.model.session_rules import SessionRules
from tests.model.work_rules import WorkRules


class Machine(SessionRules, CheckpointRules, BatchRules, WorkRules):
    """Real managers and a model, side by side."""
