"""Cron expressions in words, in both languages."""

from __future__ import annotations

import pytest
from django.utils import translation

from apps.core.scheduling.cron import describe_cron

WORDS = [
    # Intervals that cover the whole day.
    ("* * * * *", "Every minute", "每分钟"),
    ("*/1 */1 1-31 1-12 0-6", "Every minute", "每分钟"),
    ("*/5 * * * *", "Every 5 minutes", "每5分钟"),
    ("0,30 * * * *", "Every 30 minutes", "每30分钟"),
    ("0 * * * *", "Every hour", "每小时"),
    ("1 * * * *", "Every hour, 1 minute past the hour", "每小时，整点后1分"),
    ("15 * * * *", "Every hour, 15 minutes past the hour", "每小时，整点后15分"),
    ("5/20 * * * *", "Every hour, 5, 25, 45 minutes past the hour", "每小时，整点后5、25、45分"),
    (
        "*/7 * * * *",
        "Every hour, 0, 7, 14, …, 56 minutes past the hour",
        "每小时，整点后0、7、14、…、56分",
    ),
    ("0 */4 * * *", "Every 4 hours", "每4小时"),
    ("30 */4 * * *", "Every 4 hours, 30 minutes past the hour", "每4小时，整点后30分"),
    ("* * * * 1", "On Monday, every minute", "每周一，每分钟"),
    # Times of every day.
    ("0 2 * * *", "Every day at 02:00", "每天 02:00"),
    ("0,30 6,18 * * *", "Every day at 06:00, 06:30, 18:00, 18:30", "每天 06:00、06:30、18:00、18:30"),
    (
        "*/5 9-17 * * *",
        "Every day, every 5 minutes from 09:00 to 17:55",
        "每天，09:00 至 17:55 每5分钟",
    ),
    ("* 9 * * *", "Every day, every minute from 09:00 to 09:59", "每天，09:00 至 09:59 每分钟"),
    ("15 0-6 * * *", "Every day, every hour from 00:15 to 06:15", "每天，00:15 至 06:15 每小时"),
    ("0 1-23/2 * * *", "Every day, every 2 hours from 01:00 to 23:00", "每天，01:00 至 23:00 每2小时"),
    ("0 */5 * * *", "Every day, every 5 hours from 00:00 to 20:00", "每天，00:00 至 20:00 每5小时"),
    ("*/5 2-6/2 * * *", "Every day, every 5 minutes of hours 2, 4, 6", "每天，2、4、6时内每5分钟"),
    (
        "5,20,35 8-10,20 * * *",
        "Every day at minutes 5, 20, 35 of hours 8 to 10, 20",
        "每天，8至10、20时的5、20、35分",
    ),
    # Days, weekdays and months.
    ("0 3 2 * *", "On day 2 of the month at 03:00", "每月2日 03:00"),
    ("0 3 1,15,29-31 * *", "On day 1, 15, 29 to 31 of the month at 03:00", "每月1、15、29至31日 03:00"),
    (
        "0 3 2 1,4,7,10 *",
        "On day 2 of the month in January, April, July, October at 03:00",
        "每年1、4、7、10月2日 03:00",
    ),
    ("0 4 1 JAN-Mar *", "On day 1 of the month in January to March at 04:00", "每年1至3月1日 04:00"),
    ("0 4 * 6 *", "Every day in June at 04:00", "每年6月每天 04:00"),
    ("0 4 * */6 *", "Every day in January, July at 04:00", "每年1、7月每天 04:00"),
    ("0 3 */2 * *", "On day 1, 3, 5, …, 31 of the month at 03:00", "每月1、3、5、…、31日 03:00"),
    ("0 3 L * *", "On the last day of the month at 03:00", "每月最后一天 03:00"),
    ("0 3 L 2 *", "On the last day of the month in February at 03:00", "每年2月最后一天 03:00"),
    (
        "0 3 1,L * *",
        "On day 1 of the month or on the last day of the month at 03:00",
        "每月1日或每月最后一天 03:00",
    ),
    ("30 5 * * 0,7", "On Sunday at 05:30", "每周日 05:30"),
    ("0 6,18 * * 1-5", "On Monday to Friday at 06:00, 18:00", "每周一至周五 06:00、18:00"),
    ("0 6 * * 5-7", "On Friday to Sunday at 06:00", "每周五至周日 06:00"),
    ("0 6 * * sun,mon,wed", "On Monday, Wednesday, Sunday at 06:00", "每周一、周三、周日 06:00"),
    ("0 6 * * 5/2", "On Friday at 06:00", "每周五 06:00"),
    ("0 6 * 3 mon", "On Monday in March at 06:00", "每年3月的每周一 06:00"),
    ("0 6 * * MON#1", "On the first Monday of the month at 06:00", "每月第1个周一 06:00"),
    ("0 6 * 2 7#05", "On the fifth Sunday of the month in February at 06:00", "每年2月第5个周日 06:00"),
    # Both the day and the weekday: one is enough, unless one of them begins with a star.
    ("0 3 13 * 5", "On day 13 of the month or on Friday at 03:00", "每月13日或每周五 03:00"),
    (
        "0 3 1 1 1",
        "On day 1 of the month in January or on Monday in January at 03:00",
        "每年1月1日或每年1月的每周一 03:00",
    ),
    ("0 3 1-31 * mon", "Every day at 03:00", "每天 03:00"),
    ("0 3 1 * 0-6", "Every day at 03:00", "每天 03:00"),
    (
        "0 3 */10 * mon",
        "On day 1, 11, 21, 31 of the month, only on Monday at 03:00",
        "每月1、11、21、31日（须为周一） 03:00",
    ),
    ("0 3 *,5 * mon", "On Monday at 03:00", "每周一 03:00"),
    # What is no expression is returned as it is.
    ("nonsense", "nonsense", "nonsense"),
    ("99 * * * *", "99 * * * *", "99 * * * *"),
    ("@daily", "@daily", "@daily"),
    ("", "", ""),
]


@pytest.mark.parametrize(("expression", "english", "chinese"), WORDS, ids=[one[0] for one in WORDS])
def test_an_expression_in_words(expression: str, english: str, chinese: str) -> None:
    assert describe_cron(expression) == english
    with translation.override("zh-hans"):
        assert describe_cron(expression) == chinese
