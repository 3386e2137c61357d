"""Scripts on their way to the server and back: connections, pipelining, errors, invalidation."""
