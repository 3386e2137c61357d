"""The sender of messages."""

import pytest

from manager import SessionManager, Settings, SettingsError
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


@pytest.mark.parametrize("url", ["nonsense://host", "redis://:secret/x@host:port/0"])
def test_an_address_of_no_broker_is_refused_before_anything_is_revoked(settings: Settings, url: str) -> None:
    manager = SessionManager.from_settings(settings.model_copy(update={"broker_url": url}))

    with pytest.raises(SettingsError, match="AGENT_SESSIONS_BROKER_URL must be") as caught:
        SessionJobs(manager)
    assert "secret" not in str(caught.value)
