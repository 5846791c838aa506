"""Takes orders and leads them through payment, picking and shipping."""
