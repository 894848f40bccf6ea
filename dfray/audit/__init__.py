"""Audit of a run's videos: leaks between its splits, and shortcuts past the task.

equal       videos of equal content, by their files before the extraction and by their faces after it
people      people that the corpora of training share with those of the test
"""
