"""The containers' log files of this node: found, read, parsed, named and given on, each line once."""
