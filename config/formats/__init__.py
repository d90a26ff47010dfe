"""How Django writes and reads dates, by language: the style of ``apps.core.time_texts`` everywhere."""
