-- Record that a migration was applied.
INSERT INTO orchestra.schema_migration (version, name, checksum) VALUES (%(version)s, %(name)s, %(checksum)s)
