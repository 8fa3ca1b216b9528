"""Files to `Sample`s, without torch: readers, checks, statistics, conversion and splitting of data sets."""
