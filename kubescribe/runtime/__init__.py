"""Process plumbing: settings, logs, tasks, back-off, listeners. Knows nothing of Kubernetes or of records."""
