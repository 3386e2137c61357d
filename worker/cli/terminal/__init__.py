"""What a person sees and is asked: output, wording, confirmation, exit status."""
