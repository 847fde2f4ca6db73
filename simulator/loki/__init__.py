"""A strict stand-in for Loki: its push API, its limits and words, its answers to questions, and faults on demand."""
