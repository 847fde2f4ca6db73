"""What crosses a process border: records, link messages, their codec. Knows nothing of sockets or files."""
