create schema if not exists warehouse;

create table if not exists warehouse.stock (
    sku       text primary key,
    available integer not null check (available >= 0)
);

insert into warehouse.stock (sku, available) values
    ('TEA-GREEN', 1000000),
    ('TEA-BLACK', 1000000),
    ('CUP-GLASS', 1000000),
    ('POT-IRON',  1000000),
    ('SAMOVAR-5L', 1000000)
on conflict do nothing;

create table if not exists warehouse.reservations (
    order_id       uuid primary key,
    correlation_id text not null,
    items          jsonb not null,
    status         text not null,
    picker         text,
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now()
);
create index if not exists reservations_by_correlation on warehouse.reservations (correlation_id);

create table if not exists warehouse.shipments (
    order_id        uuid primary key,
    correlation_id  text not null,
    delivery        text not null,
    carrier         text not null,
    tracking_number text not null,
    status          text not null,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now()
);
create index if not exists shipments_by_correlation on warehouse.shipments (correlation_id);
