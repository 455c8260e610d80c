"""One strategy per kind: allocation, immutability, status split, finalizers, deletion."""
