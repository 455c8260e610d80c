"""Services to nftables and DNS on this host."""
