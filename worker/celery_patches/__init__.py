"""Corrections of Celery's own classes, each until a named upstream release contains it."""
