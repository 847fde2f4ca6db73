"""The pretend cluster: the real HTTP API of Kubernetes, a living scenario, and faults on demand."""
