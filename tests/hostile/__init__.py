"""What is hostile, damaged, endless or merely odd: one table, a row a case, each run as a user runs it."""
