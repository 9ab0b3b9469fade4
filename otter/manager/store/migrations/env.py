"""alembic's entry: runs the migrations on the connection that ``engine.migrate`` hands over."""

from __future__ import annotations

from alembic import context

from otter.manager.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=context.config.attributes["connection"].dialect.name == "sqlite",
)
context.run_migrations()
