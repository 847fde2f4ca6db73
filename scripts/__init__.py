"""What `make` runs besides the programs; nothing of it is installed."""
