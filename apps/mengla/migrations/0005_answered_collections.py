"""An index of the collections that the service answered: it finds the last answers of an action quickly."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("mengla", "0004_readers")]

    operations = [
        migrations.AddIndex(
            model_name="collection",
            index=models.Index(
                fields=["action", "-finished_at", "status"],
                condition=Q(status__in=["SUCCEEDED", "EMPTY"], execution_id__gt=""),
                name="collection_answered",
            ),
        ),
    ]
