"""The API kinds as frozen pydantic models. Pure: no I/O, no clock, no randomness."""
