-- Create the tenant if it is new.
INSERT INTO orchestra.tenant (tenant_id) VALUES (%(tenant)s) ON CONFLICT (tenant_id) DO NOTHING
