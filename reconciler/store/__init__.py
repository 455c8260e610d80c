"""Where objects live: revisions, compare-and-swap, bounded history, watch."""
