"""The API server as both daemons reach it: where it is, and how they prove who they are."""
