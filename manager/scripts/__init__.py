"""One typed function per Lua script, by domain. The scripts lie in `lua/`."""
