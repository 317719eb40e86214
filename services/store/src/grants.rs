//! Prepaid credits: what was granted, and what the lines of invoices say was drawn of it.

use crate::connect::{Store, StoreError, Tx, all, known, one, run};
use sea_orm::ConnectionTrait;
use verdict_domain::invoice::Drawn;
use verdict_domain::money::{self, Currency, Money};
use verdict_domain::pricing::Grant;
use verdict_domain::time::Timestamp;

/// A grant as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Whose.
    pub customer: String,
    /// What was granted.
    pub grant: Grant,
    /// In what.
    pub currency: Currency,
    /// What for, in the operator's words.
    pub note: Option<String>,
}

/// Records a grant for ever. `false`: the very same is there already; refused if another is there under its id.
pub async fn record(tx: &Tx, new: &Recorded, now: Timestamp) -> Result<bool, StoreError> {
    let nanos = Money::of_minor_units(new.grant.minor, new.currency);
    let nanos = nanos.map_err(|error| StoreError::Refused(error.to_string()))?.nanos;
    let sql = "INSERT INTO grants (customer, id, amount_nanos, currency, effective_at, expires_at, note, recorded_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (customer, id) DO NOTHING";
    let values = [
        new.customer.as_str().into(),
        new.grant.id.as_str().into(),
        nanos.into(),
        new.currency.code().into(),
        new.grant.effective_at.0.into(),
        new.grant.expires_at.map(|at| at.0).into(),
        new.note.clone().into(),
        now.0.into(),
    ];
    if run(&tx.tx, sql, values).await? > 0 {
        return Ok(true);
    }
    let there = read(&tx.tx, &new.customer).await?;
    if there.iter().any(|(there, _)| there == new) {
        return Ok(false);
    }
    Err(StoreError::Refused(format!(
        "another grant `{}` of customer `{}` is there",
        new.grant.id, new.customer
    )))
}

/// All grants of a customer with what was drawn of each.
pub async fn of_customer(tx: &Tx, customer: &str) -> Result<Vec<Drawn>, StoreError> {
    let grants = read(&tx.tx, customer).await?;
    Ok(grants.into_iter().map(|(recorded, minor)| Drawn { grant: recorded.grant, minor }).collect())
}

/// The same for a person who asks: each grant with what was drawn of it, in minor units.
pub async fn list(store: &Store, customer: &str) -> Result<Vec<(Recorded, i64)>, StoreError> {
    read(&store.db, customer).await
}

/// The currency in which a customer's contract bills; `None` without any.
pub async fn currency_of(tx: &Tx, customer: &str) -> Result<Option<Currency>, StoreError> {
    let versions = crate::contracts::of_customers(tx, [customer].into_iter()).await?;
    Ok(versions.get(customer).and_then(|versions| versions.first()).map(|contract| contract.currency))
}

async fn read(on: &impl ConnectionTrait, customer: &str) -> Result<Vec<(Recorded, i64)>, StoreError> {
    let sql = "SELECT id, amount_nanos, currency, effective_at, expires_at, note FROM grants \
               WHERE customer = $1 ORDER BY effective_at, id";
    let mut grants = Vec::new();
    for row in all(on, sql, [customer.into()]).await? {
        let code: String = row.try_get_by_index(2)?;
        let currency = known(money::currency(&code).ok(), "currency", &code)?;
        let amount = Money { nanos: row.try_get_by_index(1)?, currency };
        let minor = amount.to_minor_units().map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let expires_at: Option<i64> = row.try_get_by_index(4)?;
        let grant = Grant {
            id: row.try_get_by_index(0)?,
            minor,
            effective_at: Timestamp(row.try_get_by_index(3)?),
            expires_at: expires_at.map(Timestamp),
        };
        // Trials draw nothing, so that all such lines are charged ones.
        let sql = "SELECT CAST(COALESCE(SUM(l.amount_minor), 0) AS BIGINT) FROM invoices i \
                   JOIN invoice_lines l ON l.invoice_id = i.id \
                   WHERE i.customer = $1 AND l.item = 'credits' AND l.action = $2";
        let drawn: i64 = match one(on, sql, [customer.into(), grant.id.as_str().into()]).await? {
            Some(row) => row.try_get_by_index(0)?,
            None => 0,
        };
        let note = row.try_get_by_index(5)?;
        grants.push((Recorded { customer: customer.into(), grant, currency, note }, -drawn));
    }
    Ok(grants)
}
