"""Plumbing without a domain word: clock, ids, errors, work queue, task supervision, log set-up."""
