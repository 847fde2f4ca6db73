"""Lines for people: whose pods are meant, who has their lines, and one order of time over all of them."""
