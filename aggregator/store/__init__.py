"""The journal: one Protocol, SQLite and memory behind it."""
