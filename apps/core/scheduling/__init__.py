"""The scheduler: schedules in django-q2, cron expressions, brokers of tasks, the pulse of a cluster."""
