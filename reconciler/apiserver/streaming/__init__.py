"""Streaming: logs, exec, attach, port-forward and proxy, over WebSocket and SPDY/3.1."""
