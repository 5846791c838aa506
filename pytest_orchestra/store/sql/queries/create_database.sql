-- Make a database that its owner alone may connect to and make schemas in.
CREATE DATABASE {name} OWNER {owner}
