"""The dialogue with a person: output, formatting, confirmation, exit status."""
