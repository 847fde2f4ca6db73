"""kubescribe: a flight recorder for Kubernetes. This package is what agent and aggregator share."""
