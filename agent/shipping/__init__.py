"""The way of the containers' lines to Loki, put together: nothing of it runs unless the agent is to ship lines."""
