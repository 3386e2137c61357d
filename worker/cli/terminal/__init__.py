"""What a person reads and is asked: output, formatting, confirmation, exit status."""
