"""The agent: watches, spools and sends. Reads the cluster and never writes it."""
