"""What a trial leaves on disk: the only input of the report step."""
