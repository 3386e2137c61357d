"""Everything that callers get back."""
