"""The processes that run jobs, and the command line.

celery           the app of `celery -A agent_runtime worker`, `… beat` and `… flower`
lifecycle        checks at the start of a process; preflight has the checks themselves
celery_patches   corrections of Celery and kombu
flower           Flower with safe defaults
cli              `agent-sessions`
dev              `make dev`: the whole stack on this machine
embedded_server  a Valkey server from a wheel
"""

if __name__ != "agent_runtime.worker":  # as `worker`, from a checkout
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parent.parent / "src"))
    from agent_runtime.aliases import install_alias

    install_alias(__name__, "agent_runtime.worker")
