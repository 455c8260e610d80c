"""The validation rules, a module a concept. `validate` is their only caller. Pure."""
