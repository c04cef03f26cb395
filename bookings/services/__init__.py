"""Use cases. Keyword-only, actor and time passed in: lock, check, step, tell, return."""
