"""The service `kubernetes` in `default`, by which pods reach the API."""
