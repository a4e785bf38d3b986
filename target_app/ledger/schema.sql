-- Created by every worker at start; idempotent. All tables live in the schema target_app.
--
-- The constraints bind guarded rows only, those written by the guarded transaction: the recording must be able to hold
-- the wrong history of a strategy that writes its own SQL, or a mistake would surface as an error instead of as evidence.
CREATE SCHEMA IF NOT EXISTS target_app;

CREATE TABLE IF NOT EXISTS target_app.sales (
    sale_id        uuid PRIMARY KEY,
    strategy       text NOT NULL,
    per_user_limit bigint NOT NULL,  -- 0: none
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE IF NOT EXISTS target_app.stock (
    sale_id   uuid NOT NULL,
    sku       text NOT NULL,
    position  integer NOT NULL,          -- the item's place in the sale
    initial   bigint NOT NULL,
    price     bigint NOT NULL,
    remaining bigint NOT NULL,
    seq       bigint NOT NULL DEFAULT 0, -- sales of this SKU so far; the product's version
    fence     bigint NOT NULL DEFAULT 0, -- the greatest fencing token that has written
    guarded   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (sale_id, sku),
    CONSTRAINT never_negative CHECK (remaining >= 0 OR NOT guarded)
) WITH (fillfactor = 50);  -- room for heap-only updates of the hot row

CREATE TABLE IF NOT EXISTS target_app.orders (
    order_id   uuid PRIMARY KEY,
    sale_id    uuid NOT NULL,
    sku        text NOT NULL,
    quantity   bigint NOT NULL,
    user_id    text NOT NULL,
    key        text NOT NULL,
    remaining  bigint,  -- after this order
    seq        bigint,
    fence      bigint,
    guarded    boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS orders_of_sale ON target_app.orders (sale_id);
-- The key comes first, and look-ups give the planner nothing else to go by: see guarded.py.
DROP INDEX IF EXISTS target_app.one_order_per_key;  -- of earlier versions, the sale first
CREATE UNIQUE INDEX IF NOT EXISTS one_order_per_key_and_sale ON target_app.orders (key, sale_id) WHERE guarded;
CREATE UNIQUE INDEX IF NOT EXISTS one_order_per_seq ON target_app.orders (sale_id, sku, seq) WHERE guarded;

-- What each user has bought in a sale; kept only where the sale has a limit.
CREATE TABLE IF NOT EXISTS target_app.buyers (
    sale_id uuid NOT NULL,
    user_id text NOT NULL,
    bought  bigint NOT NULL,
    PRIMARY KEY (sale_id, user_id)
) WITH (fillfactor = 70);
