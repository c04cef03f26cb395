"""Use cases that need money and seats. Keyword-only, actor and time passed in."""
