"""ServiceAccounts: what every namespace has of them, and the Secrets that hold their tokens."""
