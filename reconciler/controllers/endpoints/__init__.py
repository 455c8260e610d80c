"""Endpoints of services: which pod addresses stand behind each service, ready or not."""
