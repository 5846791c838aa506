create schema if not exists prices;

create table if not exists prices.products (
    sku   text primary key,
    name  text not null,
    price numeric(9, 2) not null
);

insert into prices.products (sku, name, price) values
    ('TEA-GREEN',  'Green tea, 100 g',          7.50),
    ('TEA-BLACK',  'Black tea, 100 g',          6.20),
    ('CUP-GLASS',  'Glass cup',                12.90),
    ('POT-IRON',   'Cast iron teapot',         89.00),
    ('SAMOVAR-5L', 'Samovar, five litres',    640.00)
on conflict do nothing;
