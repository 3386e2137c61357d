"""The chunks that checkpoints of one session share: cutting, naming, remembering."""
