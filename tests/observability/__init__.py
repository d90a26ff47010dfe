"""What operators watch the product with: rules of Prometheus, dashboards of Grafana, traces, errors."""
