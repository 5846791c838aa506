-- Make a lock's row, or wait until nobody else is deciding who has it.
INSERT INTO orchestra.scenario_lock AS l (tenant_id, name)
VALUES (%(tenant)s, %(name)s)
ON CONFLICT (tenant_id, name) DO UPDATE SET name = excluded.name
