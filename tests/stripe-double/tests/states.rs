//! What may become of an invoice, and what Stripe says to the rest.
#![allow(clippy::unwrap_used)]

mod common;

use std::cell::Cell;

use common::{Answer, SECRET, call, check_traffic, recorded};
use serde_json::{Value, json};
use verdict_stripe_double::StripeDouble;

struct Caller {
    name: &'static str,
    double: StripeDouble,
    keys: Cell<u32>,
}

impl Caller {
    fn new(name: &'static str, double: StripeDouble) -> Self {
        Self { name, double, keys: Cell::new(0) }
    }

    async fn post(&self, path: &str, form: &str) -> Answer {
        self.keys.set(self.keys.get() + 1);
        call(&self.double, "POST", path, Some(&format!("{}/{}", self.name, self.keys.get())), form).await
    }

    async fn get(&self, path: &str) -> Answer {
        call(&self.double, "GET", path, None, "").await
    }

    async fn delete(&self, path: &str) -> Answer {
        call(&self.double, "DELETE", path, None, "").await
    }

    async fn customer(&self, form: &str) -> String {
        self.post("/v1/customers", form).await.id().to_owned()
    }

    /// An invoice with one item, in the state named.
    async fn invoice(&self, customer: &str, amount: i64, status: &str) -> String {
        let invoice = self.post("/v1/invoices", &format!("customer={customer}")).await.id().to_owned();
        self.post("/v1/invoiceitems", &format!("customer={customer}&invoice={invoice}&amount={amount}"))
            .await;
        let moves: &[&str] = match status {
            "draft" => &[],
            "open" => &["finalize"],
            "paid" => &["finalize", "pay"],
            "void" => &["finalize", "void"],
            "uncollectible" => &["finalize", "mark_uncollectible"],
            other => panic!("{other}"),
        };
        for step in moves {
            assert_eq!(self.post(&format!("/v1/invoices/{invoice}/{step}"), "").await.status, 200);
        }
        assert_eq!(self.get(&format!("/v1/invoices/{invoice}")).await.body["status"], status);
        invoice
    }
}

#[tokio::test]
async fn an_invoice_moves_only_as_it_may() {
    let (double, traffic) = recorded("states");
    let caller = Caller::new("states", double);
    let payer = caller.customer("name=A").await;
    let allowed = [
        ("draft", "finalize", "open"),
        ("open", "pay", "paid"),
        ("open", "void", "void"),
        ("open", "mark_uncollectible", "uncollectible"),
        ("uncollectible", "pay", "paid"),
        ("uncollectible", "void", "void"),
    ];
    for from in ["draft", "open", "paid", "void", "uncollectible"] {
        for step in ["finalize", "pay", "void", "mark_uncollectible"] {
            let invoice = caller.invoice(&payer, 100, from).await;
            let moved = caller.post(&format!("/v1/invoices/{invoice}/{step}"), "").await;
            let now = caller.get(&format!("/v1/invoices/{invoice}")).await.body;
            match allowed.iter().find(|(before, by, _)| (*before, *by) == (from, step)) {
                Some((_, _, to)) => {
                    assert_eq!((moved.status, &now["status"]), (200, &json!(to)), "{from} {step}")
                }
                None => {
                    assert_eq!(
                        (moved.error().0, moved.error().1),
                        (400, "invalid_request_error"),
                        "{from} {step}"
                    );
                    assert_eq!(now["status"], from);
                }
            }
        }
        let invoice = caller.invoice(&payer, 100, from).await;
        let deleted = caller.delete(&format!("/v1/invoices/{invoice}")).await;
        assert_eq!(deleted.status, if from == "draft" { 200 } else { 400 });
        assert_eq!(
            caller.get(&format!("/v1/invoices/{invoice}")).await.status,
            if from == "draft" { 404 } else { 200 }
        );
    }
    drop(caller);
    check_traffic(&traffic);
}

#[tokio::test]
async fn only_drafts_take_and_lose_items() {
    let (double, traffic) = recorded("items");
    let caller = Caller::new("items", double);
    let (payer, other) = (caller.customer("name=A").await, caller.customer("name=B").await);
    let invoice = caller.invoice(&payer, 100, "draft").await;
    let add = async |form: &str| caller.post("/v1/invoiceitems", form).await;
    assert_eq!(add(&format!("customer={other}&invoice={invoice}&amount=1")).await.status, 400);
    assert_eq!(add(&format!("customer={payer}&invoice={invoice}&amount=1&currency=eur")).await.status, 400);
    assert_eq!(
        add(&format!("customer={payer}&invoice=in_none&amount=1")).await.error().2,
        "resource_missing"
    );
    let item = add(&format!("customer={payer}&invoice={invoice}&amount=-30")).await;
    assert_eq!(item.body["currency"], "usd");
    let total = async || caller.get(&format!("/v1/invoices/{invoice}")).await.body["total"].clone();
    assert_eq!(total().await, 70);
    let lines = caller.get(&format!("/v1/invoices/{invoice}/lines?limit=1")).await.body;
    assert_eq!((&lines["data"][0]["amount"], &lines["has_more"]), (&json!(-30), &json!(true)));
    let next = lines["data"][0]["id"].as_str().unwrap();
    let rest = caller.get(&format!("/v1/invoices/{invoice}/lines?limit=1&starting_after={next}")).await.body;
    assert_eq!((&rest["data"][0]["amount"], &rest["has_more"]), (&json!(100), &json!(false)));

    assert_eq!(caller.delete(&format!("/v1/invoiceitems/{}", item.id())).await.body["deleted"], true);
    assert_eq!(total().await, 100);
    caller.post(&format!("/v1/invoices/{invoice}/finalize"), "").await;
    let refused = add(&format!("customer={payer}&invoice={invoice}&amount=1")).await;
    assert_eq!(refused.error().2, "invoice_not_editable");
    let left = caller.double.items()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(caller.delete(&format!("/v1/invoiceitems/{left}")).await.error().2, "invoice_not_editable");

    // A loose item waits, and joins only an invoice that asks for it.
    add(&format!("customer={payer}&amount=5&currency=usd")).await;
    let without = caller.post("/v1/invoices", &format!("customer={payer}")).await;
    assert_eq!(without.body["total"], 0);
    let form = format!("customer={payer}&pending_invoice_items_behavior=include");
    assert_eq!(caller.post("/v1/invoices", &form).await.body["total"], 5);
    drop(caller);
    check_traffic(&traffic);
}

#[tokio::test]
async fn a_negative_total_becomes_credit_for_the_next_invoice() {
    let (double, traffic) = recorded("balance");
    let caller = Caller::new("balance", double);
    let payer = caller.customer("name=A").await;
    let show = async |invoice: &str| caller.get(&format!("/v1/invoices/{invoice}")).await.body;
    let amounts = |invoice: &Value| {
        ["total", "amount_due", "starting_balance", "ending_balance"]
            .map(|name| invoice[name].as_i64().unwrap())
    };
    let balance =
        async || caller.get(&format!("/v1/customers/{payer}")).await.body["balance"].as_i64().unwrap();

    let first = caller.invoice(&payer, -300, "draft").await;
    let finalised = caller.post(&format!("/v1/invoices/{first}/finalize"), "").await.body;
    assert_eq!(finalised["status"], "paid");
    assert_eq!((amounts(&finalised), balance().await), ([-300, 0, 0, -300], -300));

    let second = caller.invoice(&payer, 1_000, "open").await;
    assert_eq!((amounts(&show(&second).await), balance().await), ([1_000, 700, -300, 0], 0));
    caller.post(&format!("/v1/invoices/{second}/void"), "").await;
    assert_eq!(balance().await, -300);
    drop(caller);
    check_traffic(&traffic);
}

#[tokio::test]
async fn credit_notes_go_against_what_is_unpaid_and_then_must_be_split() {
    let (double, traffic) = recorded("credit-notes");
    let caller = Caller::new("credit-notes", double);
    let payer = caller.customer("name=A").await;
    let credit = async |form: String| caller.post("/v1/credit_notes", &form).await;
    let show = async |invoice: &str| caller.get(&format!("/v1/invoices/{invoice}")).await.body;

    let draft = caller.invoice(&payer, 1_000, "draft").await;
    assert_eq!(credit(format!("invoice={draft}&amount=1")).await.status, 400);

    let open = caller.invoice(&payer, 1_000, "open").await;
    let note = credit(format!("invoice={open}&amount=400&reason=duplicate&memo=Too+much")).await;
    assert_eq!((&note.body["type"], &note.body["pre_payment_amount"]), (&json!("pre_payment"), &json!(400)));
    assert_eq!(show(&open).await["amount_remaining"], 600);
    credit(format!("invoice={open}&amount=600")).await;
    assert_eq!(show(&open).await["status"], "paid");
    assert_eq!(credit(format!("invoice={open}&amount=1&credit_amount=1")).await.status, 400);

    let paid = caller.invoice(&payer, 1_000, "paid").await;
    assert_eq!(credit(format!("invoice={paid}&amount=300")).await.status, 400);
    let parts = "refund_amount=100&credit_amount=150&out_of_band_amount=50";
    let note = credit(format!("invoice={paid}&amount=300&{parts}")).await;
    assert_eq!((note.status, &note.body["type"]), (200, &json!("post_payment")), "{note:?}");
    assert_eq!(caller.get(&format!("/v1/customers/{payer}")).await.body["balance"], -150);
    assert_eq!(credit(format!("invoice={paid}&amount=701&credit_amount=701")).await.status, 400);

    assert_eq!(caller.get(&format!("/v1/credit_notes/{}", note.id())).await.body, note.body);
    let listed = caller.get(&format!("/v1/credit_notes?invoice={open}")).await.body;
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
    drop(caller);
    check_traffic(&traffic);
}

#[tokio::test]
async fn drafts_can_be_changed_and_finalised_invoices_hardly() {
    let (double, traffic) = recorded("updates");
    let caller = Caller::new("updates", double);
    let payer = caller.customer("name=A&email=a@example.com").await;
    let invoice = caller.invoice(&payer, 100, "draft").await;
    let path = format!("/v1/invoices/{invoice}");
    let form = "description=D&metadata[a]=1&metadata[b]=2&collection_method=send_invoice&days_until_due=7";
    let changed = caller.post(&path, form).await.body;
    assert_eq!(
        (&changed["description"], &changed["collection_method"]),
        (&json!("D"), &json!("send_invoice"))
    );
    caller.post(&format!("{path}/finalize"), "").await;
    assert_eq!(caller.post(&path, "description=E").await.error().2, "invoice_not_editable");
    let changed = caller.post(&path, "metadata[a]=&metadata[c]=3").await.body;
    assert_eq!(changed["metadata"], json!({ "b": "2", "c": "3" }));

    let of_payer = async |filter: &str| {
        let found = caller.get(&format!("/v1/invoices?customer={payer}&{filter}")).await.body;
        found["data"].as_array().unwrap().len()
    };
    assert_eq!((of_payer("status=open").await, of_payer("status=draft").await), (1, 0));
    assert_eq!(of_payer("collection_method=send_invoice").await, 1);
    assert_eq!((of_payer("created[gt]=1").await, of_payer("created[lte]=1").await), (1, 0));

    assert_eq!(caller.delete(&format!("/v1/customers/{payer}")).await.body["deleted"], true);
    assert_eq!(caller.get(&format!("/v1/customers/{payer}")).await.body["deleted"], true);
    assert_eq!(caller.post("/v1/invoices", &format!("customer={payer}")).await.error().2, "resource_missing");

    let kinds: Vec<_> = caller.double.events().iter().map(|event| event["type"].clone()).collect();
    assert!(
        kinds.contains(&json!("invoice.finalized")) && kinds.contains(&json!("customer.deleted")),
        "{kinds:?}"
    );
    let events = caller.get("/v1/events?type=invoice.finalized").await.body;
    let event = &events["data"][0];
    assert_eq!(event["data"]["object"]["id"], *invoice);
    let one = caller.get(&format!("/v1/events/{}", event["id"].as_str().unwrap())).await;
    assert_eq!(one.body, *event);
    drop(caller);
    check_traffic(&traffic);
}

#[tokio::test]
async fn what_the_double_does_not_act_on_it_refuses() {
    let caller = Caller::new("refused", StripeDouble::start(None));
    let refused = caller.post("/v1/customers", "name=A&tax[ip_address]=1.2.3.4").await;
    assert_eq!(refused.error(), (400, "invalid_request_error", "parameter_unknown"));
    assert_eq!(refused.body["error"]["param"], "tax[ip_address]");
    assert_eq!(caller.post("/v1/invoices", "currency=eur").await.error().2, "parameter_missing");
    assert_eq!(caller.post("/v1/invoices", "customer=").await.error().2, "parameter_invalid_empty");
    assert_eq!(caller.get("/v1/invoices?limit=101").await.error().2, "parameter_invalid_integer");
    assert_eq!(caller.get("/v1/customers?starting_after=cus_none").await.error().2, "resource_missing");
    assert_eq!(caller.get("/v1/quotes").await.error(), (404, "invalid_request_error", ""));
    for unfit in [format!("metadata[{}]=1", "k".repeat(41)), format!("metadata[k]={}", "v".repeat(501))] {
        assert_eq!(caller.post("/v1/customers", &unfit).await.error().2, "metadata_invalid");
    }
    assert!(caller.double.customers().is_empty());

    let url = format!("{}v1/customers", caller.double.base_url);
    for key in [None, Some("sk_live_1"), Some("sk_test_")] {
        let request = common::http().get(&url);
        let request = if let Some(key) = key { request.bearer_auth(key) } else { request };
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
}

#[tokio::test]
async fn the_double_is_steered_over_http() {
    let double = StripeDouble::start(None);
    let http = common::http();
    let steer = async |path: &str, body: Value| {
        let response =
            http.post(format!("{}_double/{path}", double.base_url)).json(&body).send().await.unwrap();
        assert_eq!(response.status(), 204, "{path} {body}");
    };
    let state = async || -> Value {
        http.get(format!("{}_double/state", double.base_url)).send().await.unwrap().json().await.unwrap()
    };
    let status = async || {
        let request = http.post(format!("{}v1/customers", double.base_url)).bearer_auth(SECRET);
        request.send().await.map(|response| response.status().as_u16()).ok()
    };
    for (fault, expected) in [
        (json!({ "kind": "error_before_commit" }), Some(500)),
        (json!({ "kind": "error_after_commit" }), Some(500)),
        (json!({ "kind": "hang_after_commit", "ms": 5 }), Some(200)),
        (json!({ "kind": "drop_connection" }), None),
        (json!({ "kind": "drop_connection", "committed": false }), None),
        (json!({ "kind": "html_502" }), Some(502)),
        (json!({ "kind": "html_502", "committed": false }), Some(502)),
        (json!({ "kind": "rate_limited", "retry_after": 3 }), Some(429)),
    ] {
        let mut fault = fault;
        fault["path"] = json!("/v1/customers");
        fault["method"] = json!("POST");
        steer("faults", fault.clone()).await;
        assert_eq!(state().await["faults"].as_array().unwrap().len(), 1);
        assert_eq!(status().await, expected, "{fault}");
    }
    // Those that were committed: 500 after, late, dropped after, and 502 after.
    assert_eq!(state().await["customers"].as_array().unwrap().len(), 4);

    steer("clock", json!({ "now": 42 })).await;
    assert_eq!(status().await, Some(200));
    assert_eq!(state().await["customers"][4]["created"], 42);
    steer("random_faults", json!({ "seed": 1, "per_mille": 1000 })).await;
    steer("random_faults", Value::Null).await;
    assert_eq!(status().await, Some(200));
    steer("reset", Value::Null).await;
    let state = state().await;
    assert_eq!((&state["customers"], &state["faults"], &state["calls"]), (&json!([]), &json!([]), &json!(0)));
}
