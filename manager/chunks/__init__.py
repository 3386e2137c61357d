"""Chunks, which the checkpoints of one session share: cutting, naming, indexing, caching."""
