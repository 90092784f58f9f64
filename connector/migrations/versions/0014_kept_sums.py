"""What pages sum up and count is kept by triggers, whoever writes: also a process of an older version that still runs.

What is open by due day; how many reminders each reason holds; how many plans stand in each state. And beside what was
concluded about a customer: what is overdue, and how many findings there are, for lists that begin with the most.
"""

# ruff: noqa: S608 - the names are our own
import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

OPEN = "{row}.balance > 0 AND {row}.status IN ('open', 'partly_paid')"
DAY = {"connection_id": "{row}.connection_id", "currency": "{row}.currency", "due": "{row}.due"}
HELD = {"connection_id": "{row}.connection_id", "what": "'held'", "name": "{row}.held_because"}
PLAN = {"connection_id": "{row}.connection_id", "what": "'plans'", "name": "{row}.state"}


def upgrade() -> None:
    for table, keys, sums in (
        ("open_days", (("currency", sa.Text()), ("due", sa.Date())), ("invoices", "amount")),
        ("tallies", (("what", sa.Text()), ("name", sa.Text())), ("n",)),
    ):
        op.create_table(
            table,
            sa.Column("connection_id", sa.Text(), nullable=False),
            *(sa.Column(name, type, nullable=False) for name, type in keys),
            *(sa.Column(name, sa.BigInteger(), server_default="0", nullable=False) for name in sums),
            sa.ForeignKeyConstraint(
                ["connection_id"], ["connections.id"], name=op.f(f"fk_{table}_connection_id")
            ),
            sa.PrimaryKeyConstraint("connection_id", *(name for name, _ in keys), name=op.f(f"pk_{table}")),
        )
    op.add_column("assessments", sa.Column("overdue", sa.BigInteger(), nullable=True))
    op.add_column("assessments", sa.Column("findings", sa.Integer(), server_default="0", nullable=False))
    op.drop_index("ix_assessments_priority", table_name="assessments")
    for name, columns, those in (
        (
            "ix_assessments_overdue",
            ["connection_id", "overdue", "customer_id"],
            sa.text("overdue IS NOT NULL"),
        ),
        ("ix_assessments_pressing", ["connection_id", "priority", "customer_id"], sa.text("findings > 0")),
    ):
        op.create_index(name, "assessments", columns, sqlite_where=those, postgresql_where=those)
    amount = {"invoices": "1", "amount": "{row}.balance"}
    keep_sums("open_days", "open_days", "invoices", "currency, due, balance, status", OPEN, DAY, amount)
    keep_sums("held", "tallies", "reminders", "state, held_because", "{row}.state = 'held'", HELD, {"n": "1"})
    keep_sums("plans", "tallies", "plans", "state", "{row}.state <> ''", PLAN, {"n": "1"})
    fill_assessments()


def keep_sums(
    named: str,
    table: str,
    source: str,
    columns: str,
    counted: str,
    keys: dict[str, str],
    sums: dict[str, str],
) -> None:
    """Sum up the rows of `source` that count, and let each later change of these columns move the sums."""
    if op.get_bind().dialect.name == "postgresql":
        keys = {name: value.replace("held_because", "held_because::text") for name, value in keys.items()}
    names = ", ".join([*keys, *sums])
    values = ", ".join([*keys.values(), *(f"sum({value})" for value in sums.values())])
    groups = ", ".join(value for value in keys.values() if "{row}" in value)
    sentence = f"({names}) SELECT {values} FROM {source} AS {{row}} WHERE {counted} GROUP BY {groups}"
    here = " AND ".join(f"{name} = {value}" for name, value in keys.items())
    fresh = f"INSERT INTO {table} ({names}) VALUES ({', '.join([*keys.values(), *sums.values()])})"
    more = ", ".join(f"{name} = {table}.{name} + {value}" for name, value in sums.items())
    less = ", ".join(f"{name} = {name} - {value}" for name, value in sums.items())
    # One statement: between two, another transaction may delete the row that the first one found.
    came = (f"{fresh} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {more}",)
    left = (
        f"UPDATE {table} SET {less} WHERE {here}",
        f"DELETE FROM {table} WHERE {here} AND {next(iter(sums))} <= 0",  # noqa: S608
    )
    for when, event, row, statements in (
        ("new", "INSERT", "NEW", came),
        ("gone", "DELETE", "OLD", left),
        ("left", f"UPDATE OF {columns}", "OLD", left),
        ("came", f"UPDATE OF {columns}", "NEW", came),
    ):
        trigger(
            f"{named}_{when}", event, source, counted.format(row=row), [s.format(row=row) for s in statements]
        )
    # Last: the triggers keep others from writing until all of this counts, and what they wrote before is seen.
    op.execute(f"INSERT INTO {table} {sentence.format(row='s')}")


def trigger(name: str, event: str, source: str, when: str, statements: list[str]) -> None:
    body = "; ".join(statements)
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"CREATE TRIGGER {name} AFTER {event} ON {source} WHEN {when} BEGIN {body}; END")
        return
    returns = "RETURNS trigger LANGUAGE plpgsql"
    op.execute(f"CREATE FUNCTION {name}() {returns} AS $$ BEGIN {body}; RETURN NULL; END $$")
    each = f"FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {name}()"
    op.execute(f"CREATE TRIGGER {name} AFTER {event} ON {source} {each}")


def fill_assessments() -> None:
    """From books and findings as they are, until the next review says it."""
    late = "sum(CASE WHEN i.due < coalesce(a.as_of, i.due) THEN i.balance ELSE 0 END)"
    mine = "i.connection_id = a.connection_id AND i.customer_id = a.customer_id"
    op.execute(
        "UPDATE assessments AS a SET overdue = (SELECT max(late) FROM"  # noqa: S608
        f" (SELECT {late} AS late FROM invoices AS i WHERE {mine} AND {OPEN.format(row='i')} GROUP BY i.currency) AS sums)"
    )
    op.execute(
        "UPDATE assessments AS a SET findings = (SELECT count(*) FROM findings AS f WHERE"
        " f.connection_id = a.connection_id AND f.customer_id = a.customer_id AND f.closed_on IS NULL)"
    )
