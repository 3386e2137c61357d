"""The processes: workers, Beat and Flower (`celery.py`), the command line, `make dev`."""

if __name__ != "agent_runtime.worker":  # as `worker`, from a checkout
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parent.parent / "src"))
    from agent_runtime.aliases import install_alias

    install_alias(__name__, "agent_runtime.worker")
