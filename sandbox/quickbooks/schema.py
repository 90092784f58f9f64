"""Which properties each QuickBooks type knows, how long their text may be, and which can be queried.

`check` refuses what the real service refuses before it looks at any meaning: an unknown property (2010),
a value of the wrong sort (2010, 2080) and text that is too long (2050). Names are Intuit's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.quickbooks import faults

# One line per property group: "name name:kind name:Type[]"; without a kind it is text.
_ENTITY = (
    "Id SyncToken MetaData:MetaData CustomField:CustomField[] AttachableRef:AttachableRef[] domain status "
    "sparse:boolean "
)
_TRANSACTION = _ENTITY + (
    "DocNumber TxnDate:date TxnSubType DepartmentRef:Ref CurrencyRef:Ref ExchangeRate:number PrivateNote "
    "TxnStatus LinkedTxn:LinkedTxn[] Line:Line[] TxnTaxDetail:TxnTaxDetail TxnSource TaxFormType TaxFormNum "
    "TransactionLocationType Tag:any TxnApprovalInfo:any RecurDataRef:Ref RecurringInfo:any ProjectRef:Ref "
    "TotalCostAmount:number HomeTotalCostAmount:number "
)
_SALE = _TRANSACTION + (
    "AutoDocNumber:boolean CustomerRef:Ref CustomerMemo:Memo BillAddr:Address ShipAddr:Address "
    "FreeFormAddress:boolean ShipFromAddr:Address RemitToRef:Ref ClassRef:Ref SalesTermRef:Ref DueDate:date "
    "SalesRepRef:Ref PONumber FOB ShipMethodRef:Ref ShipDate:date TrackingNum GlobalTaxCalculation "
    "TotalAmt:number HomeTotalAmt:number ApplyTaxAfterDiscount:boolean ShippingTaxIncludedInTotalTax:boolean "
    "TemplateRef:Ref PrintStatus EmailStatus BillEmail:Email BillEmailCc:Email BillEmailBcc:Email "
    "ARAccountRef:Ref Balance:number HomeBalance:number FinanceCharge:boolean PaymentMethodRef:Ref "
    "PaymentRefNum PaymentType CheckPayment:any CreditCardPayment:any DepositToAccountRef:Ref "
    "DeliveryInfo:any DiscountRate:number DiscountAmt:number GovtTxnRefIdentifier TaxExemptionRef:Ref "
)
_TYPES: dict[str, str] = {
    "Invoice": _SALE
    + "Deposit:number AllowIPNPayment:boolean AllowOnlinePayment:boolean AllowOnlineCreditCardPayment:boolean "
    "AllowOnlineACHPayment:boolean AllowOnlinePayPalPayment:boolean AllowOnlineAffirmPayment:boolean "
    "EInvoiceStatus ECloudStatusTimeStamp CfdiUse Exportation GlobalInfo:any invoiceStatus callToAction "
    "invoiceStatusLog:any InvoiceEx:any LessCIS:number InvoiceLink PaymentDetailsMessage "
    "ConvenienceFeeDetail:any EnabledSurchargeInfo:any InvoiceLinkSecurityCode InvoiceLinkExpiryDate "
    "AutoPayEligible:boolean SchedulePayEligible:boolean ScheduledPaymentId GratuityEnabled:boolean "
    "FinancingProductType SubscriptionPaymentsSetting TxnRetainageDetail:any",
    "CreditMemo": _SALE + "RemainingCredit:number InvoiceRef:Ref CreditMemoEx:any",
    "RefundReceipt": _SALE + "RemainingCredit:number RefundReceiptEx:any",
    "Payment": _TRANSACTION
    + "CustomerRef:Ref RemitToRef:Ref ARAccountRef:Ref DepositToAccountRef:Ref PaymentMethodRef:Ref "
    "PaymentRefNum PaymentType CheckPayment:any CreditCardPayment:any TotalAmt:number UnappliedAmt:number "
    "ProcessPayment:boolean PaymentExtendedType PaymentEx:any",
    "Deposit": _TRANSACTION
    + "DepositToAccountRef:Ref CashBack:any GlobalTaxCalculation TotalAmt:number HomeTotalAmt:number "
    "DepositEx:any",
    "JournalEntry": _TRANSACTION
    + "Adjustment:boolean HomeCurrencyAdjustment:boolean EnteredInHomeCurrency:boolean GlobalTaxCalculation "
    "TotalAmt:number HomeTotalAmt:number JournalEntryEx:any",
    "Customer": _ENTITY
    + "IntuitId Organization:boolean Title GivenName MiddleName FamilyName Suffix FullyQualifiedName "
    "CompanyName DisplayName PrintOnCheckName UserId Active:boolean V4IDPseudonym PrimaryPhone:Phone "
    "AlternatePhone:Phone Mobile:Phone Fax:Phone PrimaryEmailAddr:Email WebAddr:any OtherContactInfo:any "
    "DefaultTaxCodeRef:Ref Taxable:boolean BillAddr:Address ShipAddr:Address OtherAddr:any ContactName "
    "AltContactName Notes Job:boolean BillWithParent:boolean RootCustomerRef:Ref ParentRef:Ref Level:number "
    "CustomerTypeRef:Ref SalesTermRef:Ref SalesRepRef:Ref TaxGroupCodeRef:Ref TaxRateRef:Ref "
    "PaymentMethodRef:Ref CCDetail:any PriceLevelRef:Ref Balance:number OpenBalanceDate:date "
    "BalanceWithJobs:number CreditLimit:number AcctNum CurrencyRef:Ref OverDueBalance:number "
    "TotalRevenue:number TotalExpense:number PreferredDeliveryMethod ResaleNum JobInfo:any TDSEnabled:boolean "
    "CustomerEx:any SecondaryTaxIdentifier ARAccountRef:Ref PrimaryTaxIdentifier TaxExemptionReasonId:any "
    "IsProject:boolean BusinessNumber GSTIN GSTRegistrationType IsCISContractor:boolean ClientCompanyId "
    "ClientEntityId Source TaxRegime",
    "Item": _ENTITY
    + "Name Sku Description Active:boolean SubItem:boolean ParentRef:Ref Level:number FullyQualifiedName "
    "Taxable:boolean SalesTaxIncluded:boolean PercentBased:boolean UnitPrice:number RatePercent:number Type "
    "PaymentMethodRef:Ref UOMSetRef:Ref IncomeAccountRef:Ref PurchaseDesc PurchaseTaxIncluded:boolean "
    "PurchaseCost:number ExpenseAccountRef:Ref COGSAccountRef:Ref AssetAccountRef:Ref PrefVendorRef:Ref "
    "AvgCost:number TrackQtyOnHand:boolean QtyOnHand:number QtyOnPurchaseOrder:number QtyOnSalesOrder:number "
    "ReorderPoint:number ManPartNum DepositToAccountRef:Ref SalesTaxCodeRef:Ref PurchaseTaxCodeRef:Ref "
    "InvStartDate:date BuildPoint:number PrintGroupedItems:boolean SpecialItem:boolean SpecialItemType "
    "ItemGroupDetail:any ItemAssemblyDetail:any AbatementRate:number ReverseChargeRate:number ServiceType "
    "ItemCategoryType ItemEx:any TaxClassificationRef:Ref UQCDisplayText UQCId ClassRef:Ref Source "
    "DeferredRevenue:boolean CustomExtensions:any",
    "Account": _ENTITY
    + "Name SubAccount:boolean ParentRef:Ref Description FullyQualifiedName AccountAlias TxnLocationType "
    "Active:boolean Classification AccountType AccountSubType AccountPurposes:any AcctNum AcctNumExtn BankNum "
    "OpeningBalance:number OpeningBalanceDate:date CurrentBalance:number CurrentBalanceWithSubAccounts:number "
    "CurrencyRef:Ref TaxAccount:boolean TaxCodeRef:Ref OnlineBankingEnabled:boolean FIName JournalCodeRef:Ref "
    "AccountEx:any",
    "Term": _ENTITY + "Name Active:boolean Type DiscountPercent:number DueDays:number DiscountDays:number "
    "DayOfMonthDue:number DueNextMonthDays:number DiscountDayOfMonth:number SalesTermEx:any",
    "TaxCode": _ENTITY
    + "Name Description Active:boolean Hidden:boolean Taxable:boolean TaxGroup:boolean SalesTaxRateList:any "
    "PurchaseTaxRateList:any AdjustmentTaxRateList:any TaxCodeEx:any TaxCodeConfigType",
    "CompanyInfo": _ENTITY
    + "CompanyName LegalName CompanyAddr:Address CustomerCommunicationAddr:Address LegalAddr:Address "
    "CompanyEmailAddr:any CustomerCommunicationEmailAddr:any CompanyURL PrimaryPhone:Phone "
    "OtherContactInfo:any CompanyFileName FlavorStratum SampleFile:boolean CompanyUserId "
    "CompanyUserAdminEmail CompanyStartDate EmployerId FiscalYearStartMonth TaxYearStartMonth QBVersion "
    "Country ShipAddr:Address OtherAddr:any Mobile:Phone Fax:Phone Email:Email WebAddr:any LastImportedTime "
    "LastSyncTime SupportedLanguages DefaultTimeZone MultiByteCharsSupported:boolean NameValue:any "
    "FifoCalculationStatus CompanyInfoEx:any",
    "Preferences": _ENTITY
    + "AccountingInfoPrefs:AccountingInfoPrefs AdvancedInventoryPrefs:any ProductAndServicesPrefs:any "
    "SalesFormsPrefs:SalesFormsPrefs EmailMessagesPrefs:any PrintDocumentPrefs:any "
    "VendorAndPurchasesPrefs:any TimeTrackingPrefs:any TaxPrefs:any FinanceChargesPrefs:any "
    "CurrencyPrefs:any ReportPrefs:ReportPrefs OtherPrefs:OtherPrefs",
    "OtherPrefs": "NameValue:NameValue[]",
    "NameValue": "Name Value",
    "AccountingInfoPrefs": "FirstMonthOfFiscalYear UseAccountNumbers:boolean TaxYearMonth "
    "ClassTrackingPerTxn:boolean ClassTrackingPerTxnLine:boolean TrackDepartments:boolean TaxForm "
    "CustomerTerminology DepartmentTerminology BookCloseDate:date OtherContactInfo:any",
    "SalesFormsPrefs": "UsingProgressInvoicing:boolean CustomField:any CustomTxnNumbers:boolean "
    "DelayedCharges:boolean SalesEmailCc:Email SalesEmailBcc:Email EmailCopyToCompany:boolean "
    "AllowDeposit:boolean AllowDiscount:boolean DefaultDiscountAccount AllowEstimates:boolean EstimateMessage "
    "ETransactionEnabledStatus ETransactionAttachPDF:boolean ETransactionPaymentEnabled:boolean "
    "IPNSupportEnabled:boolean InvoiceMessage AllowServiceDate:boolean AllowShipping:boolean "
    "DefaultShippingAccount DefaultItem:any DefaultTerms:Ref DefaultDeliveryMethod AutoApplyCredit:boolean "
    "AutoApplyPayments:boolean PrintItemWithZeroAmount:boolean DefaultShipMethodRef:Ref DefaultMarkup:number "
    "TrackReimbursableExpensesAsIncome:boolean UsingSalesOrders:boolean UsingPriceLevels:boolean DefaultFOB "
    "DefaultCustomerMessage",
    "ReportPrefs": "ReportBasis CalcAgingReportFromTxnDate:boolean",
    "Attachable": _ENTITY
    + "FileName FileAccessUri TempDownloadUri Size:number ContentType Category Lat Long PlaceName Note Tag "
    "ThumbnailFileAccessUri ThumbnailTempDownloadUri AttachableEx:any documentId",
    "Line": "Id LineNum:number Description Amount:number Received:number LinkedTxn:LinkedTxn[] DetailType "
    "PaymentLineDetail:any DiscountLineDetail:DiscountLineDetail TaxLineDetail:any "
    "SalesItemLineDetail:SalesItemLineDetail DescriptionLineDetail:DescriptionLineDetail "
    "ItemBasedExpenseLineDetail:any AccountBasedExpenseLineDetail:any ReimburseLineDetail:any "
    "DepositLineDetail:DepositLineDetail PurchaseOrderItemLineDetail:any SalesOrderItemLineDetail:any "
    "ItemReceiptLineDetail:any JournalEntryLineDetail:JournalEntryLineDetail GroupLineDetail:any "
    "SubTotalLineDetail:any TDSLineDetail:any ItemAdjustmentLineDetail:any CustomField:CustomField[] "
    "LineEx:any ProjectRef:Ref CostAmount:number HomeCostAmount:number CustomExtensions:any",
    "SalesItemLineDetail": "ItemRef:Ref ClassRef:Ref UnitPrice:number UnitCostPrice:number "
    "RatePercent:number PriceLevelRef:Ref MarkupInfo:any Qty:number UOMRef:Ref ItemAccountRef:Ref "
    "InventorySiteRef:Ref TaxCodeRef:Ref TaxClassificationRef:Ref ServiceDate:date TaxInclusiveAmt:number "
    "DiscountRate:number DiscountAmt:number DeferredRevenue:boolean RetainageAmount:number "
    "SalesItemLineDetailEx:any",
    "DiscountLineDetail": "DiscountRef:Ref PercentBased:boolean DiscountPercent:number "
    "DiscountAccountRef:Ref ServiceDate:date ClassRef:Ref TaxCodeRef:Ref DiscountLineDetailEx:any",
    "DescriptionLineDetail": "ServiceDate:date TaxCodeRef:Ref DescriptionLineDetailEx:any",
    "DepositLineDetail": "Entity:any ClassRef:Ref AccountRef:Ref PaymentMethodRef:Ref CheckNum TxnType "
    "TaxCodeRef:Ref TaxApplicableOn DepositLineDetailEx:any",
    "JournalEntryLineDetail": "PostingType Entity:JournalEntity AccountRef:Ref ClassRef:Ref "
    "DepartmentRef:Ref TaxCodeRef:Ref TaxRateRef:Ref TaxApplicableOn TaxAmount:number TaxInclusiveAmt:number "
    "BillableStatus JournalCodeRef:Ref JournalEntryLineDetailEx:any",
    "JournalEntity": "Type EntityRef:Ref",
    "LinkedTxn": "TxnId TxnType TxnLineId",
    "AttachableRef": "EntityRef:Ref LineInfo IncludeOnSend:boolean CustomField:CustomField[] "
    "AttachableRefEx:any NoRefOnly:boolean Inactive:boolean",
    "TxnTaxDetail": "DefaultTaxCodeRef:Ref TxnTaxCodeRef:Ref TotalTax:number TaxReviewStatus TaxLine:any "
    "UseAutomatedSalesTax:boolean",
    "CustomField": "DefinitionId Name Type StringValue BooleanValue:boolean DateValue:date NumberValue:number",
    "MetaData": "CreatedByRef:Ref CreateTime LastModifiedByRef:Ref LastUpdatedTime LastChangedInQB "
    "Synchronized:boolean",
    "Ref": "value name type",
    "Memo": "value id",
    "Email": "Id Address Default:boolean Tag",
    "Phone": "Id DeviceType CountryCode AreaCode ExchangeCode Extension FreeFormNumber Default:boolean Tag",
    "Address": "Id Line1 Line2 Line3 Line4 Line5 City Country CountryCode County CountrySubDivisionCode "
    "PostalCode PostalCodeSuffix Lat Long Tag Note",
}


def _table(text: str) -> dict[str, str]:
    pairs = (word.partition(":") for word in text.split())
    return {name: kind or "text" for name, _, kind in pairs}


TYPES: dict[str, dict[str, str]] = {name: _table(text) for name, text in _TYPES.items()}

# Longest text per property. A dotted name belongs to one entity; others hold wherever they occur.
LONGEST: dict[str, int] = {
    "PrivateNote": 4000,
    "CustomerMemo.value": 1000,
    "Customer.Notes": 2000,
    "DocNumber": 21,
    "PaymentRefNum": 21,
    "DisplayName": 500,
    "GivenName": 100,
    "MiddleName": 100,
    "FamilyName": 100,
    "CompanyName": 100,
    "Title": 16,
    "Suffix": 16,
    "Email.Address": 100,
    "Phone.FreeFormNumber": 30,
    "Term.Name": 31,
    "Item.Name": 100,
    "Account.Name": 100,
    "Description": 4000,
    "Attachable.Note": 2000,
}

MOST_LINES = 10_000
LARGEST_NUMBER = Decimal(10) ** 11


def check(entity: str, body: Mapping[str, Any], *, strings_are_numbers: bool = True) -> None:
    """Refuse a request body that does not fit the entity's type. Raises Fault 2010, 2050 or 2080.

    `strings_are_numbers`: whether `"Amount": "300.10"` passes for a number, which nobody has confirmed.
    """
    _check_type(entity, body, strings_are_numbers)
    lines = body.get("Line")
    if isinstance(lines, list) and len(lines) > MOST_LINES:
        raise faults.business(f"A transaction can have at most {MOST_LINES} lines.")


def _check_type(name: str, body: Any, lenient: bool) -> None:
    if not isinstance(body, Mapping):
        raise faults.malformed(f"Cannot deserialize value of type com.intuit.schema.finance.v3.{name}")
    known = TYPES[name]
    for key, value in body.items():
        kind = known.get(key)
        if kind is None:
            raise faults.unknown_property(key, name, list(known))
        if value is not None and kind != "any":
            _check_value(name, key, kind, value, lenient)


def _check_value(owner: str, key: str, kind: str, value: Any, lenient: bool) -> None:
    if kind.endswith("[]"):
        if not isinstance(value, list):
            raise faults.malformed(f"{key} must be a list")
        for element in value:
            _check_type(kind[:-2], element, lenient)
    elif kind in TYPES:
        _check_type(kind, value, lenient)
        if kind == "Memo":
            _check_length(f"{key}.value", value.get("value"))
    elif kind == "number":
        _check_number(key, value, lenient)
    elif kind == "boolean":
        if not isinstance(value, bool) and value not in ("true", "false", ""):
            raise faults.malformed(f"{key}: {value!r} is not a boolean")
    elif kind == "date":
        _check_date(key, value)
    elif isinstance(value, (dict, list)):
        raise faults.malformed(f"{key} must be text")
    else:
        _check_length(f"{owner}.{key}" if f"{owner}.{key}" in LONGEST else key, value)


def _check_number(key: str, value: Any, lenient: bool) -> None:
    if isinstance(value, str) and not lenient:
        raise faults.malformed(f"{key}: a number is expected, not the text {value!r}")
    if value == "":
        return
    try:
        if isinstance(value, (bool, dict, list)):
            raise InvalidOperation
        if not abs(Decimal(str(value))) < LARGEST_NUMBER:  # also true of NaN
            raise InvalidOperation
    except InvalidOperation:
        raise faults.bad_number(key, value)


def _check_date(key: str, value: Any) -> None:
    if value == "":
        return
    text = str(value)
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            date.fromisoformat(text)
        else:
            datetime.fromisoformat(text)
    except ValueError:
        raise faults.malformed(f"{key}: invalid date {text!r}, expected YYYY-MM-DD")


def _check_length(name: str, value: Any) -> None:
    limit = LONGEST.get(name)
    if limit is not None and isinstance(value, str) and len(value) > limit:
        raise faults.too_long(name, limit, len(value))


# What a query may name, with the kind of its values.
_STAMPS = {
    "Id": "id",
    "MetaData.CreateTime": "datetime",
    "MetaData.LastUpdatedTime": "datetime",
}
_SALE_QUERY = {
    **_STAMPS,
    "DocNumber": "text",
    "TxnDate": "date",
    "CustomerRef": "id",
    "TotalAmt": "number",
    "Balance": "number",
    "DueDate": "date",
    "SalesTermRef": "id",
    "CurrencyRef": "id",
}
QUERYABLE: dict[str, dict[str, str]] = {
    "Invoice": _SALE_QUERY,
    "CreditMemo": {k: v for k, v in _SALE_QUERY.items() if k != "DueDate"},
    "RefundReceipt": {k: v for k, v in _SALE_QUERY.items() if k not in ("DueDate", "Balance")},
    "Payment": {
        **_STAMPS,
        "TxnDate": "date",
        "CustomerRef": "id",
        "TotalAmt": "number",
        "PaymentRefNum": "text",
        "PaymentMethodRef": "id",
        "DepositToAccountRef": "id",
        "CurrencyRef": "id",
    },
    "Deposit": {**_STAMPS, "TxnDate": "date", "DepositToAccountRef": "id", "TotalAmt": "number"},
    "JournalEntry": {**_STAMPS, "TxnDate": "date", "DocNumber": "text"},
    "Customer": {
        **_STAMPS,
        "DisplayName": "text",
        "FullyQualifiedName": "text",
        "GivenName": "text",
        "MiddleName": "text",
        "FamilyName": "text",
        "CompanyName": "text",
        "PrintOnCheckName": "text",
        "PrimaryEmailAddr": "text",
        "Active": "boolean",
        "Balance": "number",
        "Job": "boolean",
    },
    "Item": {
        **_STAMPS,
        "Name": "text",
        "FullyQualifiedName": "text",
        "Type": "text",
        "Sku": "text",
        "Active": "boolean",
        "UnitPrice": "number",
    },
    "Account": {
        **_STAMPS,
        "Name": "text",
        "FullyQualifiedName": "text",
        "AccountType": "text",
        "AccountSubType": "text",
        "Classification": "text",
        "AcctNum": "text",
        "Active": "boolean",
        "CurrentBalance": "number",
        "SubAccount": "boolean",
    },
    "Term": {**_STAMPS, "Name": "text", "Active": "boolean", "Type": "text", "DueDays": "number"},
    "TaxCode": {**_STAMPS, "Name": "text", "Active": "boolean"},
    "CompanyInfo": _STAMPS,
    "Preferences": _STAMPS,
    "ExchangeRate": {"SourceCurrencyCode": "text", "AsOfDate": "date"},
    "Attachable": {
        **_STAMPS,
        "AttachableRef.EntityRef.Type": "text",
        "AttachableRef.EntityRef.value": "id",
        "FileName": "text",
        "Note": "text",
    },
}


def entity_named(name: str) -> str | None:
    """Intuit's spelling of an entity that this company serves, whatever the case of `name`."""
    return _ENTITIES.get(name.lower())


def property_kind(entity: str, path: str) -> tuple[str, str]:
    """(Intuit's spelling, kind) of a queryable property. Raises Fault 4001."""
    found = _PATHS[entity].get(path.lower())
    if found is not None:
        return found
    first = path.split(".")[0].lower()
    if first in {name.lower() for name in TYPES.get(entity, {})}:
        raise faults.query_invalid(f"property '{path}' is not queryable")
    raise faults.query_invalid(f"Property {path} not found for Entity {entity}")


_ENTITIES = {name.lower(): name for name in QUERYABLE}
_PATHS = {
    entity: {path.lower(): (path, kind) for path, kind in paths.items()}
    for entity, paths in QUERYABLE.items()
}
