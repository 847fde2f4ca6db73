"""The API server as the agent asks it: a session of watches, lists and GETs, and one Lease."""
