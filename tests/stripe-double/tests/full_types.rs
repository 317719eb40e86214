//! The double's answers satisfy the crate's own types, which are the strictest readers at hand.
#![allow(clippy::unwrap_used)]

mod common;

use common::{SECRET, check_traffic, recorded};
use serde_json::json;
use stripe::{Client, IdempotencyKey, RequestStrategy, StripeRequest};
use stripe_billing::credit_note::{CreateCreditNote, ListCreditNote, RetrieveCreditNote};
use stripe_billing::invoice::{
    CreateInvoice, DeleteInvoice, FinalizeInvoiceInvoice, ListInvoice, MarkUncollectibleInvoice, PayInvoice,
    RetrieveInvoice, UpdateInvoice, VoidInvoiceInvoice,
};
use stripe_billing::invoice_item::{
    CreateInvoiceItem, DeleteInvoiceItem, ListInvoiceItem, RetrieveInvoiceItem,
};
use stripe_core::customer::{CreateCustomer, DeleteCustomer, ListCustomer, RetrieveCustomer};
use stripe_core::event::{ListEvent, RetrieveEvent};

#[tokio::test]
async fn every_answer_is_read_by_the_full_types() {
    let (double, traffic) = recorded("full-types");
    let client: Client = stripe::ClientBuilder::new(SECRET).url(&double.base_url).build().unwrap();
    let mut sent = 0;
    // The strategy with a key, as a macro: each request has an answer of its own type.
    macro_rules! post {
        ($request:expr) => {{
            sent += 1;
            let key = IdempotencyKey::new(format!("full-types/{sent}")).unwrap();
            $request
                .customize()
                .request_strategy(RequestStrategy::Idempotent(key))
                .send(&client)
                .await
                .unwrap()
        }};
    }

    let payer = post!(CreateCustomer::new().name("A").email("a@example.com")).id;
    RetrieveCustomer::new(&payer).send(&client).await.unwrap();
    assert_eq!(ListCustomer::new().send(&client).await.unwrap().data[0].id, payer);

    let mut invoices = Vec::new();
    for _ in 0..5 {
        let invoice = post!(CreateInvoice::new().customer(payer.as_str()).description("D")).id.unwrap();
        let item = |amount: i64| {
            CreateInvoiceItem::new().customer(payer.as_str()).invoice(invoice.as_str()).amount(amount)
        };
        let item_id = post!(item(1_000)).id;
        let extra = post!(item(-10)).id;
        RetrieveInvoiceItem::new(&item_id).send(&client).await.unwrap();
        DeleteInvoiceItem::new(&extra).send(&client).await.unwrap();
        invoices.push(invoice);
    }
    assert_eq!(ListInvoiceItem::new().send(&client).await.unwrap().data.len(), 5);
    let [paid, void, given_up, credited, deleted] = invoices.as_slice() else { panic!() };
    post!(UpdateInvoice::new(paid).description("E"));
    for invoice in [paid, void, given_up, credited] {
        let open = post!(FinalizeInvoiceInvoice::new(invoice));
        assert_eq!((open.total, open.amount_remaining), (1_000, 1_000));
        assert_eq!(open.lines.data.len(), 1);
    }
    assert_eq!(post!(PayInvoice::new(paid)).amount_paid, 1_000);
    post!(VoidInvoiceInvoice::new(void));
    post!(MarkUncollectibleInvoice::new(given_up));
    DeleteInvoice::new(deleted).send(&client).await.unwrap();
    RetrieveInvoice::new(paid).send(&client).await.unwrap();
    assert_eq!(ListInvoice::new().send(&client).await.unwrap().data.len(), 4);

    let before = post!(CreateCreditNote::new(credited).amount(400));
    assert_eq!(before.pre_payment_amount, 400);
    let after = post!(CreateCreditNote::new(paid).amount(400).refund_amount(300).credit_amount(100));
    assert_eq!(after.post_payment_amount, 400);
    RetrieveCreditNote::new(&after.id).send(&client).await.unwrap();
    assert_eq!(ListCreditNote::new().send(&client).await.unwrap().data.len(), 2);

    let events = ListEvent::new().limit(100).send(&client).await.unwrap();
    assert!(!events.data.is_empty());
    RetrieveEvent::new(&events.data[0].id).send(&client).await.unwrap();
    DeleteCustomer::new(&payer).send(&client).await.unwrap();
    RetrieveCustomer::new(&payer).send(&client).await.unwrap();
    assert_eq!(double.events().last().unwrap()["type"], json!("customer.deleted"));
    drop(double);
    check_traffic(&traffic);
}
