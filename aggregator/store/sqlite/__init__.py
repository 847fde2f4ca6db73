"""The journal in an SQLite file. Only opening.py imports from here."""
