"""The Grafana dashboards as code: built with grafana-foundation-sdk, rendered into the chart by `make dashboards`."""
