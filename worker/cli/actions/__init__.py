"""What the commands do: each module carries out the commands of the same name."""
