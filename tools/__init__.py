"""Scripts that build and check the project; nothing here is installed."""
