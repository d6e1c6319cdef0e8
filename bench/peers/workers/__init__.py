"""The programs that are measured; all but ours run in environments of their own, so they import nothing of ours."""
