create schema if not exists payments;

create table if not exists payments.payments (
    id             uuid primary key,
    order_id       uuid not null,
    correlation_id text not null,
    attempt        integer not null,
    amount         numeric(9, 2) not null,
    card_token     text not null,
    status         text not null,
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now(),
    unique (order_id, attempt)
);
create index if not exists payments_by_correlation on payments.payments (correlation_id);
