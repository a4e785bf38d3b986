"""Evidence in, verdict and pictures out. Pure: opens no socket, starts no server."""
