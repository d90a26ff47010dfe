"""What was counted and measured: as JSON for operators, and in the text format of Prometheus."""
