"""A small shop: three services that take an order, its payment and its way out of the warehouse."""
