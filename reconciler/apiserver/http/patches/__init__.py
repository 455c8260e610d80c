"""Two of the three patch types that are not apply, each a pure function on JSON values."""
