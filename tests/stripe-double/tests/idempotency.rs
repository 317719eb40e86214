//! The rules of idempotency keys, call by bare call.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Answer, call};
use verdict_stripe_double::{Fault, FaultKind, StripeDouble};

async fn post(double: &StripeDouble, path: &str, key: &str, form: &str) -> Answer {
    call(double, "POST", path, Some(key), form).await
}

#[tokio::test]
async fn the_same_key_is_answered_the_same() {
    let double = StripeDouble::start(None);
    let first = post(&double, "/v1/customers", "k", "name=A&metadata[x]=1").await;
    let again = post(&double, "/v1/customers", "k", "metadata%5Bx%5D=1&name=A").await;
    assert_eq!((first.status, first.replayed, again.replayed), (200, false, true));
    assert_eq!(first.body, again.body);
    assert_eq!(double.customers().len(), 1);

    double.forget_keys();
    let anew = post(&double, "/v1/customers", "k", "name=A&metadata[x]=1").await;
    assert_ne!(anew.id(), first.id());
}

#[tokio::test]
async fn a_key_belongs_to_one_call() {
    let double = StripeDouble::start(None);
    let first = post(&double, "/v1/customers", "k", "name=A").await;
    let other_form = post(&double, "/v1/customers", "k", "name=B").await;
    let other_path = post(&double, "/v1/invoices", "k", "name=A").await;
    assert_eq!(other_form.error(), (400, "idempotency_error", ""));
    assert_eq!(other_path.error(), (400, "idempotency_error", ""));
    let again = post(&double, "/v1/customers", "k", "name=A").await;
    assert_eq!(again.id(), first.id());
}

#[tokio::test]
async fn a_key_in_use_conflicts() {
    let double = StripeDouble::start(None);
    double.faults([Fault::new("POST", "/v1/customers", FaultKind::HangAfterCommit { ms: 1_000 })]);
    let late = post(&double, "/v1/customers", "k", "name=A");
    let twin = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        post(&double, "/v1/customers", "k", "name=A").await
    };
    let (late, twin) = tokio::join!(late, twin);
    assert_eq!(twin.error(), (409, "invalid_request_error", "idempotency_key_in_use"));
    let again = post(&double, "/v1/customers", "k", "name=A").await;
    assert_eq!((late.status, again.replayed, again.body), (200, true, late.body));
}

#[tokio::test]
async fn a_500_is_kept() {
    let double = StripeDouble::start(None);
    for (key, fault) in [("before", FaultKind::ErrorBeforeCommit), ("after", FaultKind::ErrorAfterCommit)] {
        double.faults([Fault::new("POST", "/v1/customers", fault)]);
        let failed = post(&double, "/v1/customers", key, "name=A").await;
        assert_eq!((failed.error(), failed.replayed), ((500, "api_error", ""), false));
        let again = post(&double, "/v1/customers", key, "name=A").await;
        assert_eq!((again.error(), again.replayed), ((500, "api_error", ""), true));
    }
    assert_eq!(double.customers().len(), 1);
}

#[tokio::test]
async fn refused_parameters_are_not_kept_but_other_refusals_are() {
    let double = StripeDouble::start(None);
    assert_eq!(post(&double, "/v1/customers", "k", "nome=A").await.error().2, "parameter_unknown");
    assert_eq!(post(&double, "/v1/customers", "k", "name=A").await.status, 200);

    let customer = double.customers()[0]["id"].as_str().unwrap().to_owned();
    let draft = post(&double, "/v1/invoices", "i", &format!("customer={customer}")).await;
    let path = format!("/v1/invoices/{}/void", draft.id());
    assert_eq!(post(&double, &path, "v", "").await.status, 400);
    let again = post(&double, &path, "v", "").await;
    assert_eq!((again.status, again.replayed), (400, true));
}

#[tokio::test]
async fn calls_without_a_key_are_all_carried_out() {
    let double = StripeDouble::start(None);
    for _ in 0..2 {
        assert_eq!(call(&double, "POST", "/v1/customers", None, "name=A").await.status, 200);
    }
    assert_eq!(double.customers().len(), 2);
}
