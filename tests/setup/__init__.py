"""Set-up: what the lock files say, and what `make` installs from them with any pip and on any day."""
