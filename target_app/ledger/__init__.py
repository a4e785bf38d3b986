"""The durable record of sales in Postgres, and the one guard on which safety rests."""
