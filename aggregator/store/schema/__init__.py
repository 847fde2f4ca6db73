"""The SQLite schema: numbered migrations, forward only. Never edit one that was released."""
