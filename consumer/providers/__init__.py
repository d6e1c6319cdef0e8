"""What is true of one sender only."""
