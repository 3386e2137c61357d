"""Bugs planted on purpose, one or more for each promise, to see that its test fails.

Each `<area>.toml` beside this file lists them. `make planted` plants one after the other in a copy of the
checkout, runs the test that should catch it, and prints which were caught.
"""
