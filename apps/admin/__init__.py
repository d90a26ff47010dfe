"""What operators watch and set: metrics, alerts, health, levers, and the pages of the control room."""
