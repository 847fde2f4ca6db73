"""Loki as a destination: its bytes, its limits, its answers, and the way to it that loses nothing."""
