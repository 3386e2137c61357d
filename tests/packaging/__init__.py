"""What `pip install` gives a caller, and under which names a checkout can be imported."""
