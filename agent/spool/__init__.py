"""The bounded buffer on disk between the watches and the link."""
