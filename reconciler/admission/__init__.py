"""Decode, default and validate one object: the one path for Git and REST. Pure."""
