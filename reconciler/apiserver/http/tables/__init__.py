"""What `kubectl get` prints: columns by kind, and the cells of an object."""
