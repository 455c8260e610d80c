"""Who calls: certificates, tokens, identities; and what a caller may do."""
