"""The wire of the pretend QuickBooks: tokens, limits, request ids, batches, change data capture, outages, meter."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from datetime import UTC, date, datetime, timedelta

import pytest
import requests

from sandbox.documents import Ref
from sandbox.faults import Fault
from sandbox.limits import Window
from sandbox.quickbooks import memory_of
from tests.sandbox.quickbooks_company import Company, fault, found, new_world, read, sale

# ---- who may come in ---------------------------------------------------------------------------------------


def test_a_bad_token_gets_the_gateways_body_with_the_token_in_it(company: Company, diner: str):
    company.token = "stolen-token-123"
    answer = company.get(f"customer/{diner}")
    assert answer.status_code == 401
    error = answer.json()["fault"]["error"][0]
    assert error["code"] == "3200"
    assert error["message"] == "message=AuthenticationFailed; errorCode=003200; statusCode=401"
    assert error["detail"] == "Token expired: stolen-token-123"
    assert answer.json()["fault"]["type"] == "AUTHENTICATION"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="Intuit", error="invalid_token"'
    assert "Fault" not in answer.json()


def test_no_token_and_an_expired_token_are_refused_too(company: Company, base_and_world):
    world, base = base_and_world
    url = f"{base}/v3/company/{company.realm}/preferences"
    assert requests.get(url, timeout=120).status_code == 401
    world.grants.expire("quickbooks")
    assert company.get("preferences").status_code == 401


def test_another_companys_realm_is_forbidden(company: Company, base_and_world):
    other = found(*base_and_world)
    other.token = company.token
    answer = other.get("preferences")
    assert answer.status_code == 403
    error = answer.json()["fault"]["error"][0]
    assert (error["code"], "ApplicationAuthorizationFailed" in error["message"]) == ("3100", True)


def test_every_answer_carries_the_services_headers(company: Company, diner: str):
    for answer in (
        company.get(f"customer/{diner}"),
        company.get("customer/999"),
        company.get("query", query="x"),
    ):
        assert answer.headers["intuit_tid"].startswith("1-")
        assert answer.headers["Service-Time"].startswith("total=")
        assert answer.headers["QBO-Version"]
        assert answer.headers["Cache-Control"] == "max-age=0, no-cache, no-store, must-revalidate, private"
        assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
        assert answer.json()["time"].endswith("-08:00")
    first, second = company.get("preferences"), company.get("preferences")
    assert first.headers["intuit_tid"] != second.headers["intuit_tid"]


def test_summer_times_carry_the_summer_offset(company: Company):
    company.world.clock.set(datetime(2026, 7, 1, 18, 30, tzinfo=UTC), frozen=True)
    made = company.save("Customer", {"DisplayName": "July Bakery"})
    assert made["MetaData"]["CreateTime"] == "2026-07-01T11:30:00-07:00"


def test_xml_comes_back_to_those_who_ask_for_it(company: Company, diner: str):
    answer = company.call("GET", f"customer/{diner}", headers={"Accept": "application/xml"})
    space = "{http://schema.intuit.com/finance/v3}"
    assert (
        ElementTree.fromstring(answer.text).find(f"{space}Customer/{space}DisplayName").text
        == "Red Rock Diner"
    )
    wrong = company.call("GET", "customer/999", headers={"Accept": "application/xml"})
    assert ElementTree.fromstring(wrong.text).find(f"{space}Fault/{space}Error").get("code") == "610"


# ---- limits ------------------------------------------------------------------------------------------------


def throttle(company: Company, *windows: Window) -> None:
    company.world.limits.reset()
    company.world.limits.windows["quickbooks"] = list(windows)
    company.world.limits.unthrottled = False
    company.world.limits.now = lambda: 1_000_000.0  # no window ends in the middle of a test


def test_the_limits_are_500_a_minute_10_a_second_and_40_batches(company: Company):
    facts = {(w.problem, w.limit, w.seconds, w.batch_only) for w in new_world().limits.windows["quickbooks"]}
    assert {("minute", 500, 60, False), ("second", 10, 1, False), ("batch", 40, 60, True)} <= facts


@pytest.mark.parametrize("throttled_as", ["json", "xml"])
def test_over_the_limit(company: Company, throttled_as: str):
    company.switch("throttled_as", throttled_as)
    throttle(company, Window("minute", 3, 3600))
    answers = [company.get("preferences") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert "Retry-After" not in answers[3].headers
    if throttled_as == "json":
        assert fault(answers[3])["code"] == "3001"
        assert answers[3].json()["Fault"]["type"] == "SERVICE"
    else:
        root = ElementTree.fromstring(answers[3].text)
        assert answers[3].headers["Content-Type"].startswith("application/xml")
        assert root[0].get("type") == "SERVICE"
        assert "ThrottleExceeded" in root[0][0][0].text


def test_batches_have_a_limit_of_their_own(company: Company):
    throttle(company, Window("minute", 500, 3600), Window("batch", 2, 3600, "app", batch_only=True))
    body = {"BatchItemRequest": [{"bId": "1", "Query": "select count(*) from Invoice"}]}
    assert [company.post("batch", body).status_code for _ in range(3)] == [200, 200, 429]
    assert company.get("preferences").status_code == 200


# ---- request ids -------------------------------------------------------------------------------------------


def test_the_same_request_id_replays_the_first_answer_whatever_the_body(company: Company, diner: str):
    first = company.post("invoice", sale(diner, "10.00"), requestid="PP-0001-1-inst-1")
    again = company.post("invoice", sale(diner, "99.00"), requestid="PP-0001-1-inst-1")
    assert again.text == first.text
    assert company.query("select count(*) from Invoice") == {"totalCount": 1}
    company.post("invoice", sale(diner, "99.00"), requestid="PP-0001-1-inst-2")
    assert company.query("select count(*) from Invoice") == {"totalCount": 2}


def test_a_request_id_belongs_to_one_company(company: Company, diner: str, base_and_world):
    other = found(*base_and_world)
    theirs = other.customer("Mill Software")
    company.post("invoice", sale(diner, "10.00"), requestid="same")
    other.post("invoice", sale(theirs, "20.00"), requestid="same")
    assert other.query("select * from Invoice")["Invoice"][0]["TotalAmt"] == 20


def test_a_request_id_covers_update_delete_and_batch(company: Company, diner: str):
    made = company.invoice(diner)
    change = {"Id": made["Id"], "SyncToken": "0", "sparse": True, "PrivateNote": "once"}
    first = company.post("invoice", change, requestid="update")
    assert company.post("invoice", change, requestid="update").text == first.text
    body = {"BatchItemRequest": [{"bId": "1", "operation": "create", "Invoice": sale(diner, "5")}]}
    first = company.post("batch", body, requestid="batch")
    assert company.post("batch", body, requestid="batch").text == first.text
    gone = {"Id": made["Id"], "SyncToken": "1"}
    assert company.post("invoice", gone, operation="delete", requestid="gone").status_code == 200
    assert company.post("invoice", gone, operation="delete", requestid="gone").status_code == 200
    assert company.query("select count(*) from Invoice") == {"totalCount": 1}


def test_a_refused_request_may_use_its_id_again(company: Company, diner: str):
    assert company.refused("invoice", sale("999", "5"), requestid="again") == "2500"
    assert company.post("invoice", sale(diner, "5"), requestid="again").status_code == 200


def test_request_ids_can_be_forgotten(company: Company, diner: str):
    company.post("invoice", sale(diner, "10.00"), requestid="once")
    company.switch("request_ids", "forget")
    company.post("invoice", sale(diner, "10.00"), requestid="once")
    assert company.query("select count(*) from Invoice") == {"totalCount": 2}


def test_request_ids_have_a_length(company: Company, diner: str):
    assert company.refused("invoice", sale(diner, "5"), requestid="x" * 51) == "2050"
    item = {"bId": "12345678901", "Query": "select * from Invoice"}
    assert company.refused("batch", {"BatchItemRequest": [item]}, requestid="x" * 37) == "2050"
    assert company.refused("batch", {"BatchItemRequest": [item]}, requestid="short") == "2050"
    assert company.post("batch", {"BatchItemRequest": [item]}).status_code == 200


def test_a_connection_dropped_after_the_write_is_healed_by_the_request_id(company: Company, diner: str):
    company.world.faults.add(Fault(action="drop", when="after", platform="quickbooks", path="/invoice"))
    with pytest.raises(requests.ConnectionError):
        company.post("invoice", sale(diner, "10.00", DocNumber="D-1"), requestid="key-1")
    again = company.post("invoice", sale(diner, "10.00", DocNumber="D-1"), requestid="key-1")
    assert again.status_code == 200
    assert company.ids("select * from Invoice where DocNumber = 'D-1'") == [again.json()["Invoice"]["Id"]]


def test_a_connection_dropped_before_the_write_leaves_nothing(company: Company, diner: str):
    company.world.faults.add(Fault(action="drop", when="before", platform="quickbooks", path="/invoice"))
    with pytest.raises(requests.ConnectionError):
        company.post("invoice", sale(diner, "10.00"))
    assert company.query("select count(*) from Invoice") == {"totalCount": 0}


# ---- outages to order --------------------------------------------------------------------------------------


def ill(company: Company, status: int, variant: str = "json") -> requests.Response:
    company.world.faults.add(
        Fault(action="status", status=status, variant=variant, platform="quickbooks", path="/preferences")
    )
    return company.get("preferences")


def test_a_fault_in_a_200(company: Company):
    answer = ill(company, 200)
    assert (answer.status_code, fault(answer)["code"]) == (200, "10000")


def test_a_fault_nested_in_a_200(company: Company):
    answer = ill(company, 200, "nested")
    assert (answer.status_code, "Fault" in answer.json(), "Fault" in answer.json()["QueryResponse"]) == (
        200,
        False,
        True,
    )


def test_a_fault_without_code_and_others_that_clients_trip_over(company: Company):
    assert "code" not in fault(ill(company, 400, "no_code"))
    assert ill(company, 400, "empty_errors").json()["Fault"]["Error"] == []
    assert not fault(ill(company, 400, "word_code"))["code"].isdigit()
    lower = ill(company, 400, "lowercase").json()
    assert ("Fault" in lower, lower["fault"]["error"][0]["code"]) == (False, "6000")


@pytest.mark.parametrize("status", [500, 503])
def test_outages_come_as_html(company: Company, status: int):
    answer = ill(company, status, "html")
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html")
    assert "<html>" in answer.text
    assert answer.headers["intuit_tid"]
    assert ill(company, status, "empty").text == ""
    assert fault(ill(company, status, "fault"))["code"] == "10000"


def test_gateway_faults_to_order(company: Company):
    expired = ill(company, 401)
    assert expired.json()["fault"]["error"][0]["detail"] == f"Token expired: {company.token}"
    assert ill(company, 403).json()["fault"]["error"][0]["code"] == "3100"
    assert fault(ill(company, 429))["code"] == "3001"
    assert ill(company, 429, "xml").text.startswith("<?xml")
    assert company.get("preferences").status_code == 200


def test_a_slow_answer(company: Company):
    company.world.faults.add(Fault(action="slow", seconds=0.4, platform="quickbooks", path="/preferences"))
    assert company.get("preferences").elapsed >= timedelta(seconds=0.4)


# ---- batches -----------------------------------------------------------------------------------------------


def test_each_item_of_a_batch_has_its_own_outcome(company: Company, diner: str):
    made = company.invoice(diner)
    items = [
        {"bId": "new", "operation": "create", "Invoice": sale(diner, "5.00")},
        {"bId": "bad", "operation": "create", "Invoice": sale("999", "5.00")},
        {"bId": "gone", "operation": "delete", "Invoice": {"Id": "999", "SyncToken": "0"}},
        {
            "bId": "old",
            "operation": "update",
            "Invoice": {"Id": made["Id"], "SyncToken": "9", "sparse": True},
        },
        {"bId": "ask", "Query": "select count(*) from Invoice"},
        {"bId": "odd", "operation": "frobnicate", "Invoice": {}},
        {"bId": "what", "Query": "select * from Nothing"},
    ]
    answer = company.post("batch", {"BatchItemRequest": items})
    assert answer.status_code == 200
    outcomes = {item["bId"]: item for item in answer.json()["BatchItemResponse"]}
    assert outcomes["new"]["Invoice"]["TotalAmt"] == 5
    codes = {bid: item["Fault"]["Error"][0]["code"] for bid, item in outcomes.items() if "Fault" in item}
    assert codes == {"bad": "2500", "gone": "610", "old": "5010", "odd": "500", "what": "4001"}
    assert outcomes["ask"]["QueryResponse"] == {"totalCount": 2}


def test_a_batch_has_at_most_30_items(company: Company):
    items = [{"bId": str(n), "Query": "select count(*) from Invoice"} for n in range(31)]
    assert company.refused("batch", {"BatchItemRequest": items}) == "6000"
    assert len(company.post("batch", {"BatchItemRequest": items[:30]}).json()["BatchItemResponse"]) == 30
    assert company.refused("batch", {"BatchItemRequest": [{"Query": "select * from Item"}]}) == "2020"
    assert company.refused("batch", {}) == "2020"


def test_outcomes_may_come_in_another_order(company: Company):
    items = [{"bId": str(n), "Query": "select count(*) from Invoice"} for n in range(10)]
    in_order = company.post("batch", {"BatchItemRequest": items}).json()["BatchItemResponse"]
    assert [item["bId"] for item in in_order] == [str(n) for n in range(10)]
    company.switch("batch_order", "shuffled")
    shuffled = [
        item["bId"] for item in company.post("batch", {"BatchItemRequest": items}).json()["BatchItemResponse"]
    ]
    assert shuffled != [str(n) for n in range(10)]
    assert sorted(shuffled) == [str(n) for n in range(10)]


# ---- change data capture -----------------------------------------------------------------------------------


def capture(company: Company, entities: str, since: str) -> list[dict]:
    answer = company.get("cdc", entities=entities, changedSince=since)
    assert answer.status_code == 200, answer.text
    return read(answer)["CDCResponse"][0]["QueryResponse"]


def at(company: Company, moment: str) -> None:
    company.world.clock.set(datetime.fromisoformat(moment), frozen=True)


def test_changes_are_whole_objects_oldest_first_with_the_deleted_last(company: Company, diner: str):
    at(company, "2026-11-20T10:00:00+00:00")
    one, two, three = (company.invoice(diner, amount) for amount in ("1.00", "2.00", "3.00"))
    at(company, "2026-11-20T11:00:00+00:00")
    company.save("Invoice", {"Id": two["Id"], "SyncToken": "0"}, operation="delete")
    at(company, "2026-11-20T12:00:00+00:00")
    company.save("Invoice", {"Id": one["Id"], "SyncToken": "0", "sparse": True, "PrivateNote": "later"})
    block, empty = capture(company, "Invoice,Payment", "2026-11-20T00:00:00Z")
    assert [row["Id"] for row in block["Invoice"]] == [three["Id"], one["Id"], two["Id"]]
    assert block["Invoice"][1]["Line"][0]["Amount"] == 1
    assert block["Invoice"][2] == {
        "domain": "QBO",
        "status": "Deleted",
        "Id": two["Id"],
        "MetaData": {"LastUpdatedTime": "2026-11-20T03:00:00-08:00"},
    }
    assert (block["startPosition"], block["maxResults"]) == (1, 3)
    assert empty == {}
    assert [row["Id"] for row in capture(company, "Invoice", "2026-11-20T12:00:00Z")[0]["Invoice"]] == [
        one["Id"]
    ]
    assert capture(company, "Invoice", "2026-11-20T12:00:01Z") == [{}]


def test_a_moment_without_offset_is_pacific_time_here_too(company: Company, diner: str):
    at(company, "2026-11-20T12:00:00+00:00")  # 04:00 in Los Angeles
    company.invoice(diner)
    assert capture(company, "Invoice", "2026-11-20T12:00:00") == [{}]
    assert capture(company, "Invoice", "2026-11-20T04:00:00")[0]["maxResults"] == 1


def test_at_most_1000_objects_in_all(company: Company, diner: str):
    from sandbox.documents import Invoice, Line

    account = company.books.account_by_role("sales").id
    for _ in range(1001):
        company.books.add_invoice(
            Invoice(customer=diner, date=date(2026, 11, 1), lines=[Line(net=100, account=account)])
        )
    invoices, customers = capture(company, "Invoice,Customer", "2026-11-20T00:00:00Z")
    assert len(invoices["Invoice"]) == 1000
    assert customers == {}
    customers, invoices = capture(company, "Customer,Invoice", "2026-11-20T00:00:00Z")
    assert (len(customers["Customer"]), len(invoices["Invoice"])) == (1, 999)
    query = "select * from Invoice orderby Id maxresults 600"
    items = [{"bId": str(n), "Query": query} for n in (1, 2)]
    outcomes = company.post("batch", {"BatchItemRequest": items}).json()["BatchItemResponse"]
    assert [len(item["QueryResponse"]["Invoice"]) for item in outcomes] == [600, 400]


@pytest.mark.parametrize(("beyond", "seen"), [("honor", ["1", "2"]), ("clamp", ["2"]), ("fail", None)])
def test_more_than_thirty_days_back(company: Company, diner: str, beyond: str, seen: list[str] | None):
    company.switch("cdc_beyond_30_days", beyond)
    at(company, "2026-09-01T12:00:00+00:00")
    company.invoice(diner)
    at(company, "2026-11-20T12:00:00+00:00")
    company.invoice(diner)
    answer = company.get("cdc", entities="Invoice", changedSince="2026-08-01T00:00:00Z")
    if seen is None:
        assert (answer.status_code, fault(answer)["code"]) == (400, "4001")
    else:
        rows = answer.json()["CDCResponse"][0]["QueryResponse"][0]["Invoice"]
        assert [row["Id"] for row in rows] == seen


@pytest.mark.parametrize("entity", ["TaxCode", "TaxRate", "TimeActivity", "JournalCode", "Nonsense"])
def test_entities_that_are_not_captured(company: Company, entity: str):
    answer = company.get("cdc", entities=f"Invoice,{entity}", changedSince="2026-11-20T00:00:00Z")
    assert (answer.status_code, fault(answer)["code"]) == (400, "4001")
    assert fault(company.get("cdc", entities="Invoice"))["code"] == "2020"
    assert fault(company.get("cdc", entities="Invoice", changedSince="yesterday"))["code"] == "4001"


def test_a_payment_shows_up_with_the_invoice_it_settles(company: Company, diner: str):
    at(company, "2026-11-20T12:00:00+00:00")
    invoice = company.invoice(diner, "10.00")
    at(company, "2026-11-20T13:00:00+00:00")
    company.pay(diner, "10.00", ("Invoice", invoice["Id"], "10.00"))
    invoices, payments = capture(company, "Invoice,Payment", "2026-11-20T12:30:00Z")
    assert (invoices["Invoice"][0]["Balance"], payments["Payment"][0]["TotalAmt"]) == (0, 10)


# ---- webhooks and the meter --------------------------------------------------------------------------------


def test_what_raises_a_webhook(company: Company, diner: str):
    told: list[tuple[str, str, str]] = []
    company.books.listeners.append(lambda organization, kind, id, verb: told.append((kind, id, verb)))
    invoice = company.invoice(diner, "10.00", BillEmail={"Address": "a@redrock.example"})
    company.call("POST", f"invoice/{invoice['Id']}/send")
    paid = company.pay(diner, "10.00", ("Invoice", invoice["Id"], "10.00"))
    company.save(
        "Payment", {"Id": paid["Id"], "SyncToken": "0", "sparse": True}, operation="update", include="void"
    )
    token = company.read("Invoice", invoice["Id"])["SyncToken"]
    company.save("Invoice", {"Id": invoice["Id"], "SyncToken": token}, operation="void")
    company.save("Invoice", {"Id": invoice["Id"], "SyncToken": str(int(token) + 1)}, operation="delete")
    company.save("Customer", {"Id": diner, "SyncToken": "0", "sparse": True, "Notes": "rang"})
    company.save(
        "Customer", {"Id": diner, "SyncToken": "1", "sparse": True, "Notes": "rang"}
    )  # changes nothing
    assert [(kind, verb) for kind, _, verb in told] == [
        ("invoice", "created"),
        ("invoice", "emailed"),
        ("payment", "created"),
        ("invoice", "updated"),
        ("invoice", "updated"),
        ("payment", "voided"),
        ("invoice", "voided"),
        ("invoice", "deleted"),
        ("customer", "updated"),
    ]


def test_the_meter_counts_reads_and_leaves_writes_free(company: Company, diner: str):
    made = company.invoice(diner)
    company.read("Invoice", made["Id"])
    company.query("select * from Invoice")
    company.get("cdc", entities="Invoice", changedSince="2026-11-20T00:00:00Z")
    company.get("customer/999")  # a refused call costs nothing
    company.post(
        "batch", {"BatchItemRequest": [{"bId": str(n), "Query": "select * from Item"} for n in range(5)]}
    )
    meter = memory_of(company.world, company.realm).meter
    assert (meter["core"], meter["coreplus"], meter["coreplus_strict"]) == (1, 4, 9)


def test_the_request_log_names_the_operation(company: Company, diner: str):
    company.query("select * from Invoice")
    company.invoice(diner)
    company.get("cdc", entities="Invoice", changedSince="2026-11-20T00:00:00Z")
    mine = [call.operation for call in company.world.calls if call.company == company.realm]
    assert mine == ["query Invoice", "save Invoice", "cdc"]


def test_a_voided_document_is_captured_as_a_whole(company: Company, diner: str):
    made = company.invoice(diner)
    company.books.void(Ref("invoice", made["Id"]))
    row = capture(company, "Invoice", "2026-11-20T00:00:00Z")[0]["Invoice"][0]
    assert (row["TotalAmt"], row["PrivateNote"]) == (0, "Voided")
