"""Lines on demand: the files of some pods of this node, read for who asks, filtered and scrubbed. Nothing is kept."""
