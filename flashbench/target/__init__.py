"""The port to a system under test."""
