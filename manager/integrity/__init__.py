"""Looking through a store for what should not be there, and mending it, while others work on it."""
