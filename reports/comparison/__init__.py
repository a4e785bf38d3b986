"""Two runs side by side: may they be compared at all, what differs, and is it luck."""
