"""The commands: their options and their help. Nothing heavy is imported until one of them runs."""
