-- List the migrations applied so far, in order.
SELECT version, name, checksum FROM orchestra.schema_migration ORDER BY version
