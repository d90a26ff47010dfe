"""The pages of the alerts: all rules, one rule with its history, its silence, a test of the channels."""
