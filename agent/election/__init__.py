"""Which of several cluster agents works: an election by a Lease. Only an economy; see candidate.py."""
