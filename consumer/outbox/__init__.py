"""The log of all deliveries, and the queue of those not applied yet."""
