"""The conversation with the aggregator: hello, claims, batches, acknowledgements, requests."""
