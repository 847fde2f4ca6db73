"""Lines for people: how severe one is, and what of it nobody may read."""
