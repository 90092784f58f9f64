"""What may not be written, and why: every code with the sentence a bookkeeper reads.

Asked twice: when a plan is drafted, and again right before its first write.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from connector.domain import free_words
from connector.domain.calendar import add_months
from connector.domain.money import Money
from connector.domain.plan import Plan
from connector.domain.policy import Answers, Mode
from connector.domain.receivables import Customer, Document, Organization, Status
from connector.domain.regions import region

# Xero's own words for books whose sales tax follows the money. FLATRATEACCRUAL: flat-rate turnover is gross,
# so it counts as cash until it has been tried.
CASH_TAX_HINTS = frozenset({"CASH", "PAYMENTS", "FLATRATECASH", "FLATRATEACCRUAL"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """`code` is for programs and the record; `sentence` says why and what to do instead."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Covered:
    """The plan that an invoice is in already. `state` is "" where the plan is not on record here."""

    plan: str
    state: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known right before a plan would be posted. Amounts are minor units of the invoices' currency."""

    organization: Organization
    answers: Answers
    customer: Customer
    invoices: tuple[Document, ...]  # the plan's invoices as the ledger has them now
    today: dt.date  # the posting date
    unapplied: int = 0  # open credits, over- and prepayments of this customer
    above: tuple[tuple[str, int], ...] = ()  # the same of the customers above a sub-customer, by name
    holds: frozenset[str] = (
        frozenset()
    )  # disputed, insolvency, breathing_space, opt_out, data_request, deceased …
    planned: Mapping[str, Covered] = field(default_factory=dict)  # by invoice id
    clearing_problem: str = ""  # why the clearing account cannot serve; "" when it can, or none is needed yet
    legal_sign_off: bool = False  # a person recorded that a lawyer looked at this consumer plan

    @property
    def currency(self) -> str:
        return self.invoices[0].currency if self.invoices else self.organization.home_currency

    @property
    def open(self) -> int:
        return sum(i.balance for i in self.invoices)


@dataclass(frozen=True, slots=True)
class ModeChoice:
    """`mode` is what the plan will use (None: no plan at all); `refused` says why each other mode may not be."""

    mode: Mode | None
    offered: tuple[Mode, ...]
    refused: Mapping[Mode, tuple[Refusal, ...]] = field(default_factory=dict)
    why: str = ""


def refusals(facts: Facts, mode: Mode, plan: Plan | None = None) -> list[Refusal]:
    """Everything that forbids writing this plan in this mode; [] means it may go ahead."""
    found = _always(facts)
    if plan is not None:
        found += _consumer(facts, plan)
        said = (free_words.unfit(waiver.reason) for waiver in plan.waivers)
        found += [Refusal("WORDS", why) for why in said if why]
    if mode is Mode.SPLIT:
        found += _split(facts)
    elif mode is Mode.MIRROR:
        found += _mirror(facts)
    return found


def choose_mode(facts: Facts, wanted: str = "", plan: Plan | None = None) -> ModeChoice:
    """The decision table of docs/accounting.md, "Which way". `wanted` is the policy's or a person's choice, "" for neither."""
    refused = {m: tuple(refusals(facts, m, plan)) for m in Mode}
    offered = tuple(m for m in (Mode.SPLIT, Mode.NOTES) if not refused[m])
    if not offered:
        return ModeChoice(None, (), refused, refused[Mode.NOTES][0].sentence)
    if wanted and Mode(wanted) in offered:
        return ModeChoice(Mode(wanted), offered, refused, "As chosen.")
    mode = offered[0]
    if mode is Mode.SPLIT:
        why = "The books are on the accrual basis, so a split moves neither revenue nor tax."
    else:
        why = refused[Mode.SPLIT][0].sentence
    return ModeChoice(mode, offered, refused, why)


_HOLDS = {
    "disputed": ("DISPUTED", "This is disputed."),
    "insolvency": ("INSOLVENCY_HOLD", "An insolvency is on record."),
    "breathing_space": ("BREATHING_SPACE", "A breathing space is on record."),
    "deceased": ("DECEASED", "The customer has died."),
    "data_request": ("DATA_REQUEST", "A data protection request is open."),
}


def _always(facts: Facts) -> list[Refusal]:
    found = []
    for hold, (code, words) in _HOLDS.items():
        if hold in facts.holds:
            found.append(Refusal(code, f"{words} No plan or reminder may go out while this is set."))
    if facts.customer.erasure_requested and "data_request" not in facts.holds:
        found.append(
            Refusal(
                "DATA_REQUEST",
                "The ledger marks a data protection request for this customer. "
                "No plan or reminder may go out while this is set.",
            )
        )
    if not facts.invoices:
        return [*found, Refusal("NO_INVOICE", "Choose at least one open invoice.")]
    found += _invoices(facts)
    if facts.unapplied > 0:
        credit = Money(facts.unapplied, facts.currency)
        found.append(
            Refusal("OPEN_CREDITS", f"Apply the {credit} credit first; otherwise the plan asks for too much.")
        )
    for name, amount in facts.above:
        found.append(
            Refusal(
                "OPEN_CREDITS",
                f"{name}, to whom this customer belongs, has {Money(amount, facts.currency)} that is set against "
                "nothing yet. Apply it first, here or there: it may be meant for these invoices, and then the plan "
                "asks for too much.",
            )
        )
    return found


def already_planned(number: str, covered: Covered) -> Refusal:
    """Why an invoice is not planned twice, and what can be done about the plan that it is in."""
    if not covered.state:
        sentence = (
            f"Invoice {number} belongs to plan {covered.plan}, which is not on record here. "
            "End that plan where it was made, or leave the invoice out."
        )
    elif covered.state == "proposed":
        sentence = (
            f"Invoice {number} is in the draft {covered.plan} already, which nobody approved yet. "
            "Change that draft, or turn it down."
        )
    else:
        sentence = (
            f"Invoice {number} is in plan {covered.plan} already, which is {covered.state}. "
            "Change or cancel that plan instead."
        )
    return Refusal("ALREADY_PLANNED", sentence)


def _invoices(facts: Facts) -> list[Refusal]:
    found = []
    if len({i.currency for i in facts.invoices}) > 1:
        found.append(
            Refusal(
                "MIXED_CURRENCY",
                "The invoices are in different currencies. Make one plan for each currency.",
            )
        )
    for invoice in facts.invoices:
        if invoice.customer_id != facts.customer.id:
            found.append(
                Refusal(
                    "OTHER_CUSTOMER", f"Invoice {invoice.number} belongs to another customer. Leave it out."
                )
            )
        if invoice.status not in (Status.OPEN, Status.PARTLY_PAID) or invoice.balance <= 0:
            found.append(
                Refusal("NOT_OPEN", f"Nothing is open on invoice {invoice.number}. Leave it out of the plan.")
            )
        if invoice.id in facts.planned:
            found.append(already_planned(invoice.number, facts.planned[invoice.id]))
        if "autopay" in invoice.flags:
            found.append(
                Refusal(
                    "AUTOPAY_ON",
                    f"A payment is scheduled for invoice {invoice.number} already. "
                    "Wait for it, or take the schedule off in the ledger.",
                )
            )
    return found


def _consumer(facts: Facts, plan: Plan) -> list[Refusal]:
    person = facts.customer.is_person or plan.terms.private_person  # no ledger tells for sure
    if not person or facts.legal_sign_off or plan.terms.legal_sign_off:
        return []
    rules = region(facts.customer.country or facts.organization.country)
    most, months = rules.consumer_max_installments, rules.consumer_max_months
    too_many = most is not None and len(plan.rows) > most
    too_long = months is not None and bool(plan.rows) and plan.rows[-1].due > add_months(facts.today, months)
    charged = plan.interest > 0 and not rules.consumer_interest_allowed
    if not (too_many or too_long or charged or rules.consumer_needs_legal_review):
        return []
    return [
        Refusal(
            "CONSUMER_CREDIT_LIMIT",
            "This plan may be regulated consumer credit. Shorten it, drop the interest, or record legal sign-off.",
        )
    ]


def cash_in_ledger(organization: Organization) -> str:
    """The ledger's own word for cash, where it says so of income or of sales tax; "" where it does not.

    Reports of such books count a credit as payment, so it weighs more than an answer of accrual (I12).
    """
    tax, income = organization.sales_tax_basis_hint or "", organization.income_basis_hint or ""
    if tax.upper() in CASH_TAX_HINTS:
        return tax
    return income if income.upper() == "CASH" else ""


def _split(facts: Facts) -> list[Refusal]:
    organization, answers = facts.organization, facts.answers
    found = []
    if answers.cash or (told := cash_in_ledger(organization)):
        unpaid = Money(facts.open, facts.currency) if facts.invoices else "balance"
        sentence = (
            f"Crediting the invoice would show its unpaid {unpaid} as income and tax now. Use notes-only."
        )
        if not answers.cash:
            sentence += f" (The ledger itself says “{told}”, whatever was answered in the settings.)"
        found.append(Refusal("CASH_BASIS_CLEARING", sentence))
    elif not answers.known:
        found.append(_basis_unknown())
    found += _split_documents(facts)
    if organization.auto_apply_credits:
        found.append(
            Refusal(
                "AUTO_APPLY_ON",
                "QuickBooks would apply the plan credit to another invoice by itself. "
                "Turn it off, or use notes-only.",
            )
        )
    if facts.clearing_problem:
        found.append(
            Refusal(
                "CLEARING_INVALID",
                f"The clearing account cannot be used: {facts.clearing_problem} "
                "Choose another in the settings, or use notes-only.",
            )
        )
    return found


def _basis_unknown() -> Refusal:
    return Refusal(
        "BASIS_UNKNOWN",
        "Tell us how you report (cash or accrual) before we post documents. Notes-only is available.",
    )


def _split_documents(facts: Facts) -> list[Refusal]:
    """What forbids posting any documents, split or mirror."""
    organization = facts.organization
    found = []
    if any(i.currency != organization.home_currency for i in facts.invoices):
        found.append(
            Refusal(
                "FOREIGN_CURRENCY",
                f"The invoice is in {facts.currency} and the books are in {organization.home_currency}: "
                "new documents would show an exchange gain or loss that never happened. Use notes-only.",
            )
        )
    mandate = region(organization.country).einvoice_from
    if mandate and facts.today >= mandate:
        found.append(
            Refusal(
                "EINVOICE_MANDATE",
                "Invoices and credit notes of this country must travel its e-invoicing network, "
                "and an installment request is no invoice in that sense. Use notes-only.",
            )
        )
    if organization.closed_until and facts.today <= organization.closed_until:
        found.append(
            Refusal(
                "PERIOD_LOCKED",
                f"Books are closed to {organization.closed_until}; the plan must be dated after it.",
            )
        )
    for invoice in facts.invoices:
        if invoice.flags & {"retainage", "cis"}:
            found.append(
                Refusal(
                    "UNMIRRORABLE_LINE",
                    f"Invoice {invoice.number} has retainage or construction industry deductions, "
                    "which a split would disturb. Use notes-only.",
                )
            )
    if not facts.customer.active:
        found.append(
            Refusal(
                "CUSTOMER_INACTIVE",
                "The customer is inactive in the ledger, so no document can be made for them. "
                "Make them active there, or use notes-only.",
            )
        )
    return found


def _mirror(facts: Facts) -> list[Refusal]:
    found = [] if facts.answers.known else [_basis_unknown()]
    if any(i.tax for i in facts.invoices) and facts.organization.country != "US":
        found.append(
            Refusal("VAT_MIRROR", "A tax credit note is not allowed just because the customer pays later.")
        )
    for invoice in facts.invoices:
        if invoice.flags & {"inventory", "bundle", "discount", "reverse_charge"}:
            found.append(
                Refusal(
                    "UNMIRRORABLE_LINE",
                    f"Invoice {invoice.number} has lines that cannot be repeated without moving stock or tax.",
                )
            )
    found += _split_documents(facts)
    found.append(Refusal("NOT_YET", "Forbear does not write mirror splits yet. Use notes-only."))
    return found


def changed(plan: Plan, now: Iterable[Document]) -> list[Refusal]:
    """BALANCE_CHANGED for each of the plan's invoices that is not as it was approved (I21)."""
    by_id = {d.id: d for d in now}
    found = []
    for source in plan.sources:
        document = by_id.get(source.invoice_id)
        if document is None:
            found.append(
                Refusal(
                    "BALANCE_CHANGED",
                    f"Invoice {source.number} is no longer in the ledger. Turn this draft down, and draft again for "
                    "what is still owed.",
                )
            )
        elif (
            document.balance != source.balance
            or document.total != source.total
            or document.currency != plan.currency
            or document.customer_id != plan.customer_id
            or (source.version and document.version and document.version != source.version)
        ):
            found.append(
                Refusal(
                    "BALANCE_CHANGED",
                    f"Invoice {source.number} changed since the plan was drawn up. Review the plan again.",
                )
            )
    return found
