//! What happens to payments outside of the API: attempts that fail, and payments that are disputed.

use serde_json::{Value, json};

use crate::StripeDouble;
use crate::error::ApiError;
use crate::invoices::Status;
use crate::params::Params;
use crate::world::{Reply, World};

pub(crate) struct Dispute {
    id: String,
    created: i64,
    invoice: String,
    amount: i64,
    currency: String,
    status: String,
}

/// The payment that an invoice was paid with.
fn payment_of(invoice: &str) -> String {
    invoice.replacen("in_", "pi_", 1)
}

impl Dispute {
    fn show(&self) -> Value {
        json!({
            "id": self.id,
            "object": "dispute",
            "amount": self.amount,
            "balance_transactions": [],
            "charge": self.invoice.replacen("in_", "ch_", 1),
            "created": self.created,
            "currency": self.currency,
            "enhanced_eligibility_types": [],
            "evidence": {},
            "evidence_details": {
                "due_by": self.created + 604_800, "has_evidence": false, "past_due": false, "submission_count": 0,
            },
            "is_charge_refundable": false,
            "livemode": false,
            "metadata": {},
            "payment_intent": payment_of(&self.invoice),
            "reason": "fraudulent",
            "status": self.status,
        })
    }
}

impl World {
    pub(crate) fn retrieve_dispute(&self, id: &str, params: Params) -> Reply {
        params.end()?;
        let found = self.disputes.iter().find(|dispute| dispute.id == id);
        found.map(Dispute::show).ok_or_else(|| ApiError::not_found("dispute", id))
    }

    /// The payments of one payment intent.
    pub(crate) fn list_invoice_payments(&self, mut params: Params) -> Reply {
        let kind = params.one_of("payment[type]", &["payment_intent"])?;
        let payment = params.needed("payment[payment_intent]")?;
        params.integer("limit")?;
        params.end()?;
        let paid = self.invoices.iter().filter(|invoice| {
            kind.is_some() && invoice.status == Status::Paid && payment_of(&invoice.id) == payment
        });
        let data: Vec<Value> = paid
            .map(|invoice| {
                json!({
                    "id": invoice.id.replacen("in_", "inpay_", 1),
                    "object": "invoice_payment",
                    "amount_paid": self.total(invoice),
                    "amount_requested": self.total(invoice),
                    "created": invoice.created,
                    "currency": invoice.currency,
                    "invoice": invoice.id,
                    "is_default": true,
                    "livemode": false,
                    "payment": { "type": "payment_intent", "payment_intent": payment },
                    "status": "paid",
                    "status_transitions": { "canceled_at": null, "paid_at": invoice.created },
                })
            })
            .collect();
        Ok(json!({ "object": "list", "data": data, "has_more": false, "url": "/v1/invoice_payments" }))
    }

    fn dispute(&mut self, invoice: &str, status: &str, event: &str) -> String {
        let found = self.disputes.iter().position(|dispute| dispute.invoice == invoice);
        let at = found.unwrap_or_else(|| {
            let id = self.next_id("dp");
            let paid = self.invoice(invoice);
            let (amount, currency) =
                paid.map_or((0, "usd".to_owned()), |paid| (self.total(paid), paid.currency.clone()));
            let (created, status) = (self.now, String::new());
            self.disputes.push(Dispute { id, created, invoice: invoice.into(), amount, currency, status });
            self.disputes.len() - 1
        });
        self.disputes[at].status = status.into();
        let (id, shown) = (self.disputes[at].id.clone(), self.disputes[at].show());
        self.emit(event, shown);
        id
    }
}

impl StripeDouble {
    /// An attempt to collect an invoice fails.
    pub fn fail_payment(&self, invoice: &str) {
        // It stays as it is: only the event tells.
        let told = self.shared.lock().world.tell(invoice, &["invoice.payment_failed"]);
        assert!(told.is_ok(), "there is no invoice {invoice}");
    }

    /// The payer's bank takes the payment of an invoice back. Gives the dispute.
    pub fn dispute_payment(&self, invoice: &str) -> String {
        self.shared.lock().world.dispute(invoice, "needs_response", "charge.dispute.created")
    }

    /// The dispute of an invoice's payment ends as `won` or `lost`.
    pub fn close_dispute(&self, invoice: &str, status: &str) {
        self.shared.lock().world.dispute(invoice, status, "charge.dispute.closed");
    }
}
