"""The newest lines and the most pressing customers of one organization are found without reading the others."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_audit_connection_id", table_name="audit")
    for name, table, columns in (
        ("ix_audit_newest", "audit", ["connection_id", "seq"]),
        ("ix_audit_subject", "audit", ["connection_id", "subject", "seq"]),
        ("ix_reminders_newest", "reminders", ["connection_id", "id"]),
        ("ix_writes_newest", "writes", ["connection_id", "id"]),
        ("ix_assessments_priority", "assessments", ["connection_id", "priority"]),
    ):
        op.create_index(name, table, columns)
