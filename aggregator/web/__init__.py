"""HTTP: REST API, feed, probes, metrics, the static page."""
