"""How long things took and how much was sold: figures from the recorded tries."""
