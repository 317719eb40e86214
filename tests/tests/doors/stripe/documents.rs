//! What follows an invoice to Stripe: credit notes, voids, changed addresses; and the terms it goes by.

use super::*;

/// What is billed without anything else: one confirmed outcome and two assumed ones.
const BILL: i64 = 99 + 2 * 49;

impl Line {
    async fn sql(&self, statement: &str) {
        connect(&self.database_url).await.execute_unprepared(statement).await.unwrap();
    }

    /// A credit note on the customer's invoice, as closing a period makes them.
    async fn credit(&self, customer: &str, amount: i64) -> String {
        let invoice = self.invoice(customer).await["id"].as_str().unwrap().to_string();
        let id = format!("{invoice}:credit");
        self.sql(&format!(
            "INSERT INTO invoices (id, kind, customer, period_start, period_end, corrects, currency, total_minor, \
             bill_to, terms, drafted_at, state) SELECT '{id}', 'credit_note', customer, period_start, period_end, id, \
             currency, -{amount}, bill_to, terms, drafted_at, 'final' FROM invoices WHERE id = '{invoice}'; \
             INSERT INTO outbox (id, invoice_id, customer, sort, state, tries, next_try_at) \
             SELECT 'push:{id}', '{id}', customer, 'credit_note', 'waiting', 0, 0 FROM invoices WHERE id = '{id}'"
        ))
        .await;
        id
    }

    /// The invoice at Stripe of a customer's October.
    async fn theirs(&self, customer: &str) -> Value {
        let ours = self.invoice(customer).await;
        self.double
            .invoices()
            .into_iter()
            .find(|theirs| theirs["metadata"]["verdict_invoice"] == ours["id"])
            .unwrap()
    }

    /// Somebody pays at Stripe.
    async fn pay(&self, customer: &str, form: &str) {
        let id = self.theirs(customer).await["id"].as_str().unwrap().to_string();
        self.operate(Method::POST, &format!("invoices/{id}/pay"), form).await;
    }

    /// The one credit note of this id at Stripe.
    fn credited(&self, id: &str) -> Value {
        let mut notes = self.double.credit_notes();
        notes.retain(|note| note["metadata"]["verdict_credit_note"] == id);
        assert_eq!(notes.len(), 1, "{id}: {notes:#?}");
        notes.remove(0)
    }

    /// Waits until all errands but the parked ones are done.
    async fn nothing_waits(&self) {
        let service = &self.service;
        until("the outbox is empty", async || service.get_json("/v1/status").await["pushes_waiting"] == 0)
            .await;
    }
}

fn amounts(note: &Value) -> [i64; 3] {
    let refund = note["refunds"][0]["amount_refunded"].as_i64().unwrap_or(0);
    let (before, after) =
        (note["pre_payment_amount"].as_i64().unwrap(), note["post_payment_amount"].as_i64().unwrap());
    [before, after - refund, refund]
}

#[tokio::test]
async fn an_invoice_goes_by_the_terms_of_its_contract() {
    let line = Line::new("doors-terms").await;
    let sent = line.customer_on("sent", 2, json!({ "days_until_due": 14 })).await;
    let charged = line.customer_on("charged", 2, json!({ "collect": "charge" })).await;
    let taxed = line.customer_on("taxed", 2, json!({ "tax": "automatic" })).await;
    line.bill().await;
    let due =
        |invoice: &Value| invoice["due_date"].as_i64().unwrap() - invoice["effective_at"].as_i64().unwrap();
    assert_eq!(due(&line.theirs(&sent).await), 14 * 86_400);
    let theirs = line.theirs(&charged).await;
    assert_eq!(
        [&theirs["collection_method"], &theirs["due_date"]],
        [&json!("charge_automatically"), &Value::Null]
    );
    // Tax depends on where the customer is.
    let list = parked(&line.service).await;
    let reason = list[0]["reason"].as_str().unwrap();
    assert!(
        list.len() == 1 && reason.contains(&taxed) && reason.contains("an address at Stripe"),
        "{list:?}"
    );
    let payer =
        line.double.customers().into_iter().find(|c| c["metadata"]["verdict_customer"] == *taxed).unwrap();
    let payer = format!("customers/{}", payer["id"].as_str().unwrap());
    line.operate(Method::POST, &payer, "address[country]=DE").await;
    line.service.command(&["parked", "replay", list[0]["id"].as_str().unwrap()]);
    line.nothing_waits().await;
    let theirs = line.theirs(&taxed).await;
    assert_eq!([&theirs["total_excluding_tax"], &theirs["status"]], [&json!(BILL), &json!("open")]);
    assert_eq!(theirs["total"], BILL + 20 + 20, "a fifth of 99 and of 98");
    // A credit note on it takes its tax along.
    let id = line.credit(&taxed, 100).await;
    line.pay(&taxed, "").await;
    line.nothing_waits().await;
    assert_eq!(line.credited(&id)["total_excluding_tax"], 100);
    assert_eq!(line.credited(&id)["total"], 120);
    assert_eq!(parked(&line.service).await, Vec::<Value>::new());
    line.check_traffic();
}

/// Three invoices to credit: unpaid, paid, and paid with the credit going back the way it came; one to void; all
/// with a fault of this kind at each call that this takes.
async fn corrected(name: &str, kind: FaultKind, dies: bool) {
    let mut line = Line::new(name).await;
    let open = line.customer("open", 2).await;
    let paid = line.customer("paid", 2).await;
    let refunded = line.customer_on("refunded", 2, json!({ "credit_to": "refund" })).await;
    let void = line.customer("void", 2).await;
    line.bill().await;
    line.pay(&paid, "").await;
    line.pay(&refunded, "").await;
    for (method, path, count) in [
        ("GET", "/v1/credit_notes", 1),
        ("POST", "/v1/credit_notes", 3),
        ("GET", "/v1/invoices/*", 1),
        ("POST", "/v1/invoices/*/void", 1),
    ] {
        line.double.faults([Fault::new(method, path, kind).count(count)]);
    }
    let before = line.double.calls().len();
    let ids = [line.credit(&open, 50).await, line.credit(&paid, 60).await, line.credit(&refunded, 70).await];
    let invoice = line.invoice(&void).await["id"].as_str().unwrap().to_string();
    line.service.command(&["invoices", "void", &invoice]);
    if dies {
        // Again and again: at each call that it makes.
        for calls in 1..12 {
            let double = &line.double;
            let called = async || double.calls().len() >= before + calls;
            let _ = tokio::time::timeout(Duration::from_secs(2), until("it calls", called)).await;
            line.service.kill();
            line.double.forget_keys();
            line.sql("UPDATE outbox SET next_try_at = 0 WHERE state = 'waiting'").await;
            line.service.restart().await;
        }
    }
    // Waits grow with each try: so much time passes here.
    until("the outbox is empty", async || {
        if dies {
            line.sql("UPDATE outbox SET next_try_at = 0 WHERE state = 'waiting'").await;
        }
        line.service.get_json("/v1/status").await["pushes_waiting"] == 0
    })
    .await;
    let state = Client::new().get(format!("{}_double/state", line.double.base_url)).send().await.unwrap();
    assert_eq!(state.json::<Value>().await.unwrap()["faults"], json!([]), "each was made");
    assert_eq!(parked(&line.service).await, Vec::<Value>::new());
    assert_eq!(line.double.credit_notes().len(), 3);
    assert_eq!(amounts(&line.credited(&ids[0])), [50, 0, 0]);
    assert_eq!(amounts(&line.credited(&ids[1])), [0, 60, 0]);
    assert_eq!(amounts(&line.credited(&ids[2])), [0, 0, 70]);
    assert_eq!(line.theirs(&open).await["amount_remaining"], BILL - 50);
    assert_eq!(line.theirs(&void).await["status"], "void");
    assert_eq!(line.invoice(&void).await["stripe_status"], "void");
    assert_eq!(line.double.invoices().len(), 4);
    line.check_traffic();
}

#[tokio::test]
async fn corrections_survive_a_500_before_the_commit() {
    corrected("doors-credit-500", FaultKind::ErrorBeforeCommit, false).await;
}

#[tokio::test]
async fn corrections_survive_a_500_after_the_commit() {
    corrected("doors-credit-500-after", FaultKind::ErrorAfterCommit, false).await;
}

#[tokio::test]
async fn corrections_survive_late_answers() {
    corrected("doors-credit-hang", FaultKind::HangAfterCommit { ms: 800 }, false).await;
}

#[tokio::test]
async fn corrections_survive_broken_connections() {
    corrected("doors-credit-drop", FaultKind::DropConnection { committed: true }, false).await;
}

#[tokio::test]
async fn corrections_survive_a_failing_gateway() {
    corrected("doors-credit-html", FaultKind::Html502 { committed: true }, false).await;
}

#[tokio::test]
async fn corrections_survive_rate_limits() {
    corrected("doors-credit-rate", FaultKind::RateLimited { retry_after: 1 }, false).await;
}

#[tokio::test]
async fn corrections_survive_kills_after_what_was_committed() {
    corrected("doors-credit-killed", FaultKind::HangAfterCommit { ms: 300 }, true).await;
}

#[tokio::test]
async fn corrections_survive_kills_before_anything_is_committed() {
    corrected("doors-credit-killed-before", FaultKind::DropConnection { committed: false }, true).await;
}

#[tokio::test]
async fn it_waits_as_long_as_stripe_asks() {
    let line = Line::new("doors-wait").await;
    line.customer("acme", 2).await;
    line.double.faults([Fault::new("POST", "/v1/invoices", FaultKind::RateLimited { retry_after: 3 })]);
    let start = Instant::now();
    line.service.move_clock(BILLED).await;
    line.nothing_waits().await;
    assert!(start.elapsed() >= Duration::from_secs(3), "{:?}", start.elapsed());
    line.everything_is_billed_once(1).await;
    line.check_traffic();
}

#[tokio::test]
async fn a_changed_address_reaches_stripe_with_the_next_invoice() {
    let line = Line::new("doors-address").await;
    let customer = line.customer("acme", 2).await;
    line.bill().await;
    let mut next = with(&contract(&customer), "/version", json!(2));
    next = with(&next, "/effective_from", json!(rfc3339(START + 31 * DAY)));
    next = with(&next, "/bill_to/email", json!("new@acme.example"));
    line.service.post("/v1/contracts", &next).await;
    let mut late = attempt(&customer, "later");
    for (name, at) in [("started_at", BILLED + HOUR), ("ended_at", BILLED + 2 * HOUR)] {
        late[name] = json!(rfc3339(at));
    }
    line.service.move_clock(BILLED + 3 * HOUR).await;
    line.service.post("/v1/attempts", &json!([late])).await;
    for kind in [
        FaultKind::ErrorAfterCommit,
        FaultKind::ErrorBeforeCommit,
        FaultKind::HangAfterCommit { ms: 800 },
        FaultKind::DropConnection { committed: false },
        FaultKind::DropConnection { committed: true },
        FaultKind::Html502 { committed: true },
        FaultKind::RateLimited { retry_after: 1 },
    ] {
        line.double.faults([Fault::new("POST", "/v1/customers/*", kind)]);
    }
    line.service.move_clock(BILLED + 31 * DAY).await;
    line.nothing_waits().await;
    assert_eq!(line.double.invoices().len(), 2);
    let payers = line.double.customers();
    assert_eq!((payers.len(), &payers[0]["email"]), (1, &json!("new@acme.example")));
    line.check_traffic();
}

#[tokio::test]
async fn a_refusal_holds_up_its_customer_alone_until_it_is_settled() {
    let line = Line::new("doors-holds").await;
    let (stuck, other) = (line.customer("stuck", 2).await, line.customer("other", 2).await);
    line.bill().await;
    let id = line.theirs(&stuck).await["id"].as_str().unwrap().to_string();
    line.operate(Method::POST, &format!("invoices/{id}/void"), "").await;
    let on_void = line.credit(&stuck, 10).await;
    until("it is parked", async || parked(&line.service).await.len() == 1).await;
    // What comes later of this customer waits, another's goes on; a void that cannot be is in nobody's way.
    line.sql("UPDATE outbox SET state = 'waiting', next_try_at = 0 WHERE sort = 'invoice'").await;
    let credited = line.credit(&other, 10).await;
    let db = connect(&line.database_url).await;
    let waiting = format!("SELECT COUNT(*) FROM outbox WHERE state = 'waiting' AND customer = '{stuck}'");
    until("the other's is done", async || {
        number(&db, "SELECT COUNT(*) FROM outbox WHERE state = 'waiting'").await == 1
    })
    .await;
    assert_eq!(amounts(&line.credited(&credited)), [10, 0, 0]);
    assert_eq!(number(&db, &waiting).await, 1);
    let list = parked(&line.service).await;
    let reason = list[0]["reason"].as_str().unwrap();
    assert!(reason.contains(&stuck) && reason.contains(&on_void) && reason.contains("settle"), "{reason}");
    let settle = ["parked", "settle", list[0]["id"].as_str().unwrap(), "--because", "it was never paid"];
    line.service.command(&settle);
    line.nothing_waits().await;
    assert_eq!(parked(&line.service).await, Vec::<Value>::new());
    assert_eq!(line.double.credit_notes().len(), 1);

    line.pay(&other, "").await;
    let invoice = line.invoice(&other).await["id"].as_str().unwrap().to_string();
    let path = format!("/v1/invoices/{invoice}/void");
    assert_eq!(line.service.try_post(&path, &json!({})).await.unwrap().status(), 202);
    until("it is parked", async || parked(&line.service).await.len() == 1).await;
    assert!(parked(&line.service).await[0]["reason"].as_str().unwrap().contains("paid"));
    line.sql(&format!("UPDATE outbox SET state = 'waiting', next_try_at = 0 WHERE id = 'push:{invoice}'"))
        .await;
    line.nothing_waits().await;
    let nowhere = line.service.try_post("/v1/invoices/nowhere/void", &json!({})).await.unwrap();
    assert_eq!(nowhere.status(), 404);
    line.check_traffic();
}
