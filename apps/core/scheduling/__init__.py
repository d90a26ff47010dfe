"""The scheduler: schedules in django-q2, cron expressions, and the broker of tasks in Redis."""
