"""The processes: workers, Beat and Flower (`celery.py`), the command line, `make dev`."""
