"""The commands: their options and their help. Nothing heavy is imported before one runs."""
