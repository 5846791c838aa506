"""A small shop: four services that take an order, its price, its payment and its way out of the warehouse."""
