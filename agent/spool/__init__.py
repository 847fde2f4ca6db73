"""The agent's buffer on disk: what was seen and not yet acknowledged. Bounded, and it says what it dropped."""
