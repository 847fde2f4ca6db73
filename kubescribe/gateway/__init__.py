"""Loki's and OpenTelemetry's push APIs for shippers: what they send goes on, under its pod's name."""
