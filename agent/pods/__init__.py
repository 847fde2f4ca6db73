"""The pods of this agent's nodes, as lines of theirs are named: alive, and dead for at most a day."""
