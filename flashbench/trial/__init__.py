"""The life of a trial, written once: open → load → settle → drain → collect → seal → judge."""
