"""SPDY/3.1 as Kubernetes' clients speak it: frames (pure) and a session over any connection."""
