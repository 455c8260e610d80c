"""Bytes to desired objects, each with the file, line and column that asks for it. Pure."""
