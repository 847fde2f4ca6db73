"""Under which name a line goes to Loki: a pure function of the pod, the same wherever a line comes from."""
