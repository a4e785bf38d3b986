"""What the harness itself costs: ratios measured side by side in one run."""
