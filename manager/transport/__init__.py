"""Calls of scripts on a server: connections, pipelining, error mapping, invalidation."""
