"""`kubescribe preview`: the Loki streams that a cluster would make, told before anything is switched on."""
