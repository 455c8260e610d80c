"""The REST face of the registry: Kubernetes' API over HTTPS, and on a Unix socket."""
