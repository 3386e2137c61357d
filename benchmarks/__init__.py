"""Benchmarks: every figure is a ratio to a raw counterpart, measured alternately in the same run."""
