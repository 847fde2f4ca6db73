"""The aggregator: ingests, keeps the journal, serves the API, the feed and the metrics."""
