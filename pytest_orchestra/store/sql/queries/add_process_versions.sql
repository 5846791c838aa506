-- Record the versions of processes that runs are about to name.
INSERT INTO orchestra.process_version (tenant_id, process_id, process_hash)
SELECT DISTINCT %(tenant)s, item.process_id, item.process_hash
FROM jsonb_to_recordset(%(items)s::jsonb) AS item (process_id text, process_hash text)
ORDER BY item.process_id, item.process_hash
ON CONFLICT (tenant_id, process_id, process_hash) DO NOTHING
