"""The doctor: checks of every precondition, each with its finding and cure."""
