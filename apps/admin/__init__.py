"""What operators watch and control: metrics, alerts, health, runs, and the pages of the control room."""
