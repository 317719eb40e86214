//! Customers at Stripe.

use super::{Listed, Metadata, PAGE, Stripe, StripeError, is, metadata};
use miniserde::Deserialize;
use stripe_core::customer::{CreateCustomer, ListCustomer, UpdateCustomer};
use stripe_types::RangeQueryTs;

const CUSTOMER: &str = "verdict_customer";

/// A customer to create.
#[derive(Debug, Clone)]
pub struct NewCustomer<'a> {
    /// Our id of the customer.
    pub verdict_customer: &'a str,
    /// The name on the invoice.
    pub name: &'a str,
    /// Where invoices are sent; Stripe demands one for [`Collection::SendInvoice`].
    pub email: Option<&'a str>,
}

impl Stripe {
    /// Creates a customer and gives its id at Stripe.
    pub async fn create_customer(&self, key: &str, new: &NewCustomer<'_>) -> Result<String, StripeError> {
        let mut request = CreateCustomer::new()
            .name(new.name)
            .metadata(metadata([(CUSTOMER, new.verdict_customer.to_owned())]));
        if let Some(email) = new.email {
            request = request.email(email);
        }
        let customer: CustomerReply = self.post(key, &request).await?;
        Ok(customer.id)
    }

    /// Finds the customer made for ours, among those created since then (Unix time).
    pub async fn find_customer(
        &self,
        verdict_customer: &str,
        created_since_unix: i64,
    ) -> Result<Option<String>, StripeError> {
        let list = ListCustomer::new().limit(PAGE).created(RangeQueryTs::gte(created_since_unix));
        self.walk(&list, |customer: CustomerReply| {
            is(&customer.metadata, CUSTOMER, verdict_customer).then_some(Ok(customer.id))
        })
        .await
    }

    /// Gives a customer another name and e-mail address.
    pub async fn update_customer(
        &self,
        key: &str,
        id: &str,
        name: &str,
        email: &str,
    ) -> Result<(), StripeError> {
        self.post::<CustomerReply>(key, &UpdateCustomer::new(id).name(name).email(email)).await.map(drop)
    }
}

#[derive(Deserialize)]
struct CustomerReply {
    id: String,
    metadata: Metadata,
}

impl Listed for CustomerReply {
    fn id(&self) -> &str {
        &self.id
    }
}
