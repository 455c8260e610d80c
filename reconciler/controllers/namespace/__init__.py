"""Namespaces that are being deleted: their content goes, pods first, and then they do."""
