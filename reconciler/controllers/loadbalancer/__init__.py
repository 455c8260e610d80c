"""Load balancers: which address each service of that type has."""
