"""The sender of messages."""

from contextlib import ExitStack

import pytest

from agent_runtime.manager import SessionManager, Settings, SettingsError
from agent_runtime.manager.jobs import EnqueueError, JobKind
from agent_runtime.manager.jobs.slices import Slice
from agent_runtime.tasks import SessionJobs
from agent_runtime.tasks.publisher import _producers_of


def test_enqueuers_with_the_same_settings_share_one_publisher(
    manager: SessionManager, settings: Settings
) -> None:
    """Celery never frees an app that has published: one for each request grew by 4 KB each."""
    equal = SessionManager.from_settings(settings.model_copy())

    assert SessionJobs(manager)._publisher._app is SessionJobs(equal)._publisher._app


def test_enqueuers_with_other_settings_have_a_publisher_of_their_own(
    manager: SessionManager, settings: Settings
) -> None:
    elsewhere = settings.model_copy(update={"broker_url": "redis://elsewhere/0"})
    other = SessionManager.from_settings(elsewhere)

    assert SessionJobs(manager)._publisher._app is not SessionJobs(other)._publisher._app


@pytest.mark.parametrize("url", ["nonsense://host", "redis://:secret/x@host:port/0"])
def test_an_address_of_no_broker_is_refused_before_anything_is_revoked(settings: Settings, url: str) -> None:
    manager = SessionManager.from_settings(settings.model_copy(update={"broker_url": url}))

    with pytest.raises(SettingsError, match="AGENT_SESSIONS_BROKER_URL") as caught:
        SessionJobs(manager)
    assert "secret" not in str(caught.value)


def test_a_connection_that_is_half_closed_does_not_take_the_message(
    manager: SessionManager, settings: Settings
) -> None:
    """`make chaos` saw it: while connections break under several threads, kombu uses a channel that has lost
    its connection already, and that is no error of its own but an AttributeError.
    """
    publisher = SessionJobs(manager)._publisher
    turn = Slice("job_1", JobKind.SWEEP, 0, 1)
    publisher.send([turn])
    with _producers_of(publisher._app).acquire() as producer:
        channel = producer.channel
        channel.connection = None
        for cached in ("client", "_pool", "_async_pool"):
            channel.__dict__.pop(cached, None)
    with pytest.raises(EnqueueError, match="job_1"):
        publisher.send([turn])
    publisher.send([turn])


def test_more_callers_than_connections_hear_that_the_message_was_not_accepted(settings: Settings) -> None:
    """Celery keeps ten connections. If the broker is slow, further callers wait for one of them."""
    manager = SessionManager.from_settings(settings.model_copy(update={"call_timeout_seconds": 7.0}))
    publisher = SessionJobs(manager)._publisher
    publisher._app.conf.broker_pool_acquire_timeout = 0.01
    slices = [Slice("job_1", JobKind.SWEEP, 0, 1)]
    with ExitStack() as held:
        for _ in range(publisher._app.conf.broker_pool_limit):
            held.enter_context(_producers_of(publisher._app).acquire())
        with pytest.raises(EnqueueError, match="job_1"):
            publisher.send(slices)
    publisher.send(slices)
