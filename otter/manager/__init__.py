"""The manager: store of configuration, REST API and console, and the answer to what nodes ask. Replication never
depends on it."""
