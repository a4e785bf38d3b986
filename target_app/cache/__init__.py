"""Redis as a cache: reads that shield the database, and the circuit breaker that lets the app live without it."""
