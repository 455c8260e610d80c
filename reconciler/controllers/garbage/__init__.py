"""Garbage collection by ownerReferences: background, foreground and orphaning deletion."""
