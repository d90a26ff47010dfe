"""The scheduler: its schedules in django-q2, their cron expressions, and the broker of tasks in Redis."""
