"""The scheduler: its schedules in django-q2, their cron expressions and the queue of tasks in MongoDB."""
