-- Say whether the schema was ever migrated (asked of the catalogue; to_regclass may remember what was not there before).
SELECT EXISTS (
    SELECT FROM pg_tables WHERE schemaname = 'orchestra' AND tablename = 'schema_migration'
) AS found
