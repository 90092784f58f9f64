"""The worked example of docs/accounting.md, used by several tests."""

from datetime import date
from decimal import Decimal

from connector.domain.calendar import Rhythm, due_dates
from connector.domain.installments import draft_rows
from connector.domain.plan import Plan, Source, Terms, Waiver
from connector.domain.plan_words import Words
from connector.domain.plan_writes import Books
from connector.domain.policy import Answers, Basis, Method, Mode
from connector.domain.proof import Applied
from connector.domain.receivables import Customer, Document, Kind, Line, Organization, Status

APPROVAL = date(2026, 11, 21)
WORDS = Words("credit note", "US")
BOOKS = Books(WORDS, clearing_account="90", clearing_item="12", clearing_tax_code="NON")
ORGANIZATION = Organization(
    "o", "Alder Landscaping", "US", "USD", "America/New_York", auto_apply_credits=False
)
ACCRUAL = Answers(Basis.ACCRUAL, Basis.ACCRUAL)
CUSTOMER = Customer("58", "Brook Café")

INVOICE_1001 = Document(
    kind=Kind.INVOICE,
    id="147",
    number="1001",
    customer_id="58",
    date=date(2026, 8, 1),
    due=date(2026, 8, 31),
    currency="USD",
    total=115000,
    balance=85000,
    tax=15000,
    status=Status.PARTLY_PAID,
    lines=(Line("40", "Work in July", 100000, 15000, account_name="Sales"),),
    version="4",
)
LATE_FEE = Document(
    kind=Kind.INVOICE,
    id="151",
    number="LF-1001",
    customer_id="58",
    date=date(2026, 9, 1),
    due=date(2026, 10, 1),
    currency="USD",
    total=5000,
    balance=5000,
    tax=0,
    status=Status.OPEN,
    lines=(Line("41", "Late fee", 5000, account_name="Late fees"),),
)
RECEIVED = Applied("147", 30000, date(2026, 9, 20))


def source(document: Document) -> Source:
    return Source(
        invoice_id=document.id,
        number=document.number,
        date=document.date,
        due=document.due or document.date,
        total=document.total,
        tax=document.tax,
        balance=document.balance,
        version=document.version,
        settled=document.balance < document.total,
    )


def example(*, mode: Mode = Mode.SPLIT, method: Method = Method.FLAT, waived: bool = True) -> Plan:
    """850.00 in three months, 5 % flat, the 50.00 late fee waived."""
    dates = due_dates(date(2026, 12, 21), Rhythm.MONTHLY, 3, "US")
    return Plan(
        id="PP-0007",
        version=1,
        customer_id="58",
        currency="USD",
        mode=mode,
        sources=(source(INVOICE_1001),),
        rows=draft_rows(85000, dates, method=method, flat_percent=Decimal(5), start=APPROVAL),
        drafted_on=APPROVAL,
        terms=Terms(method=method, flat_percent=Decimal(5)),
        waivers=(Waiver("151", "LF-1001", 5000, "41", "plan agreed"),) if waived else (),
    )
