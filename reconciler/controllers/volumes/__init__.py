"""PersistentVolumes, their claims, and what keeps both from being lost."""
