create schema if not exists orders;

create table if not exists orders.orders (
    id                  uuid primary key,
    correlation_id      text not null,
    idempotency_key     text unique,
    customer            text not null,
    items               jsonb not null,
    delivery            text not null,
    card_token          text not null,
    total               numeric(9, 2) not null,
    status              text not null,
    payment_attempts    integer not null default 0,
    paid_at             timestamptz,
    picked_at           timestamptz,
    cancellation_reason text,
    created_at          timestamptz not null default now(),
    updated_at          timestamptz not null default now()
);
create index if not exists orders_by_correlation on orders.orders (correlation_id);

create table if not exists orders.order_events (
    id             bigint generated always as identity primary key,
    order_id       uuid not null references orders.orders,
    correlation_id text not null,
    type           text not null,
    at             timestamptz not null default now()
);
create index if not exists order_events_by_order on orders.order_events (order_id);
create index if not exists order_events_by_correlation on orders.order_events (correlation_id);
