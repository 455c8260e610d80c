"""ReplicationControllers: count, rollout and status plans, and the loop that carries them out."""
