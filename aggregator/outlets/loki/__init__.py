"""Events, container terminations and changes of workloads, from the journal to Loki, beside the lines they explain."""
