from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("collector_admin", "0001_initial")]

    operations = [
        migrations.AddField(model_name="alert", name="told_at", field=models.DateTimeField(null=True)),
    ]
