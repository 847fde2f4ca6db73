"""Pictures of the dashboards for docs/, from a real Prometheus that scrapes the product on the pretend cluster."""
