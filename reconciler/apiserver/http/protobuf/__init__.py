"""Bodies in protobuf: Kubernetes' envelope around the messages of its public API."""
