"""What pods and nodes use now, in memory: last values, short histories, families for /metrics, items for the API."""
