"""What a fault does to a strategy: the course of a trial's load, and the figures of an outage."""
