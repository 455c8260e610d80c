"""A place to watch, and its files at a revision."""
