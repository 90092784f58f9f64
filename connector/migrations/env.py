"""Alembic's entry: works on the connection and inside the transaction that `db.migrate` hands over."""

from alembic import context

from connector import db

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=db.metadata,
    render_as_batch=True,  # SQLite cannot alter most things in place
)
context.run_migrations()
