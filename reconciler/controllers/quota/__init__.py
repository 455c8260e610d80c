"""The quota controller: what each ResourceQuota limits, and how much of it is used."""
