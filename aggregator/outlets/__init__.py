"""Readers of the journal that carry records outward: the feed hub, the gauges."""
