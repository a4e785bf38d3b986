"""The system under test: a small flash-sale service that anyone may read. Knows nothing of the harness."""
