"""Control loops on API objects: a pure plan and a thin loop each."""
