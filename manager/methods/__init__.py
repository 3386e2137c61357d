"""The facets of `SessionManager`: each a class of its public methods, on one shared context."""
