"""Bulk work on sessions as jobs: their records in Redis, the work itself, and its proof."""
