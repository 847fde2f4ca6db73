"""What is done to a line before anybody reads it: its level, and what is scrubbed from it. Pure, bounded in time."""
