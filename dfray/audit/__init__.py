"""Audit of a run's videos: leaks between its splits, and shortcuts past the task.

equal            groups of equal videos    equal_files, equal_faces    before and after the extraction
near_duplicates  by perceptual hashes      hash_index                  pairs of near hashes
people           shared by two datasets    names                       people whom a video names
metadata_probe   a classifier without pixels
run, result      all of it, and a verdict on each part    page         its HTML
"""
