"""The pages of the control room beside the lists of models: dashboard, coverage, data, starting a task."""
