"""Sessions and checkpoints in Redis, one or many at a time: what the facets of `SessionManager` share."""
