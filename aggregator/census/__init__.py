"""What /metrics tells of the cluster as it is: small facts of the living pods, controllers and nodes, in memory."""
