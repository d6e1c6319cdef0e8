"""A simulated sender and its users."""
