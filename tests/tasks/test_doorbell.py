"""The sender of messages."""

from manager import SessionManager, Settings
from tasks import SessionJobs


def test_enqueuers_with_the_same_settings_share_one_publisher(
    manager: SessionManager, settings: Settings
) -> None:
    """Celery never frees an app that has published: one for each request grew by 4 KB each."""
    equal = SessionManager.from_settings(settings.model_copy())

    assert SessionJobs(manager)._doorbell._app is SessionJobs(equal)._doorbell._app


def test_enqueuers_with_other_settings_have_a_publisher_of_their_own(
    manager: SessionManager, settings: Settings
) -> None:
    elsewhere = settings.model_copy(update={"broker_url": "redis://elsewhere/0"})
    other = SessionManager.from_settings(elsewhere)

    assert SessionJobs(manager)._doorbell._app is not SessionJobs(other)._doorbell._app
