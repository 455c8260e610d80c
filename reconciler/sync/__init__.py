"""GitOps: plan desired against live, apply, prune, and the life cycle of a revision."""
