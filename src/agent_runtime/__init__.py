"""The documented import path; see `agent_runtime.session_manager`."""
