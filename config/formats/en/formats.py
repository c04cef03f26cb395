"""Dates as they are written everywhere in the admin: no month that could be a day."""

DATE_FORMAT = SHORT_DATE_FORMAT = "D j M Y"
TIME_FORMAT = "H:i"
DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "D j M Y, H:i"
FIRST_DAY_OF_WEEK = 1
