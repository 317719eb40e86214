//! API keys, logins, and small settings.

use crate::connect::{Store, StoreError, all, one, run};
use verdict_domain::time::Timestamp;

/// An API key as stored: never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The public part.
    pub id: String,
    /// What a person calls it.
    pub name: String,
    /// SHA-256 of the secret part, in hex.
    pub secret_hash: String,
    /// What it may do, separated by commas.
    pub scopes: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when, if it was revoked.
    pub revoked_at: Option<Timestamp>,
}

fn read(row: &sea_orm::QueryResult) -> Result<ApiKey, StoreError> {
    let revoked_at: Option<i64> = row.try_get_by_index(5)?;
    Ok(ApiKey {
        id: row.try_get_by_index(0)?,
        name: row.try_get_by_index(1)?,
        secret_hash: row.try_get_by_index(2)?,
        scopes: row.try_get_by_index(3)?,
        created_at: Timestamp(row.try_get_by_index(4)?),
        revoked_at: revoked_at.map(Timestamp),
    })
}

/// Stores a key.
pub async fn create_key(store: &Store, key: &ApiKey) -> Result<(), StoreError> {
    let sql = "INSERT INTO api_keys (id, name, secret_hash, scopes, created_at) VALUES ($1, $2, $3, $4, $5)";
    let values = [
        key.id.as_str().into(),
        key.name.as_str().into(),
        key.secret_hash.as_str().into(),
        key.scopes.as_str().into(),
        key.created_at.0.into(),
    ];
    let tx = store.begin().await?;
    run(&tx.tx, sql, values).await?;
    tx.commit().await
}

/// A key that is not revoked.
pub async fn find_key(store: &Store, id: &str) -> Result<Option<ApiKey>, StoreError> {
    let sql = "SELECT id, name, secret_hash, scopes, created_at, revoked_at FROM api_keys \
               WHERE id = $1 AND revoked_at IS NULL";
    one(&store.db, sql, [id.into()]).await?.as_ref().map(read).transpose()
}

/// All keys, also revoked ones.
pub async fn list_keys(store: &Store) -> Result<Vec<ApiKey>, StoreError> {
    let sql =
        "SELECT id, name, secret_hash, scopes, created_at, revoked_at FROM api_keys ORDER BY created_at, id";
    all(&store.db, sql, []).await?.iter().map(read).collect()
}

/// Revokes a key and its logins, at once; `false` if there is none such.
pub async fn revoke_key(store: &Store, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    let tx = store.begin().await?;
    run(&tx.tx, "DELETE FROM sessions WHERE key_id = $1", [id.into()]).await?;
    let sql = "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    let revoked = run(&tx.tx, sql, [id.into(), now.0.into()]).await? > 0;
    tx.commit().await?;
    Ok(revoked)
}

/// Opens a login, and forgets those that have expired.
pub async fn open_session(
    store: &Store,
    token_hash: &str,
    key_id: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    let tx = store.begin().await?;
    run(&tx.tx, "DELETE FROM sessions WHERE expires_at <= $1", [now.0.into()]).await?;
    let sql = "INSERT INTO sessions (token_hash, key_id, expires_at) VALUES ($1, $2, $3)";
    run(&tx.tx, sql, [token_hash.into(), key_id.into(), expires_at.0.into()]).await?;
    tx.commit().await
}

/// The key behind a login that has not expired.
pub async fn session_key(
    store: &Store,
    token_hash: &str,
    now: Timestamp,
) -> Result<Option<ApiKey>, StoreError> {
    let sql = "SELECT k.id, k.name, k.secret_hash, k.scopes, k.created_at, k.revoked_at \
               FROM sessions s JOIN api_keys k ON k.id = s.key_id \
               WHERE s.token_hash = $1 AND s.expires_at > $2 AND k.revoked_at IS NULL";
    one(&store.db, sql, [token_hash.into(), now.0.into()]).await?.as_ref().map(read).transpose()
}

/// Ends a login.
pub async fn close_session(store: &Store, token_hash: &str) -> Result<(), StoreError> {
    let tx = store.begin().await?;
    run(&tx.tx, "DELETE FROM sessions WHERE token_hash = $1", [token_hash.into()]).await?;
    tx.commit().await
}

/// A setting.
pub async fn setting(store: &Store, name: &str) -> Result<Option<String>, StoreError> {
    match one(&store.db, "SELECT value FROM settings WHERE name = $1", [name.into()]).await? {
        Some(row) => Ok(Some(row.try_get_by_index(0)?)),
        None => Ok(None),
    }
}

/// Changes a setting.
pub async fn set_setting(store: &Store, name: &str, value: &str) -> Result<(), StoreError> {
    let tx = store.begin().await?;
    let sql = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    run(&tx.tx, sql, [name.into(), value.into()]).await?;
    tx.commit().await
}

/// Changes a setting if it still is what it was (`None`: not set). `false`: it is not.
pub async fn replace_setting(
    store: &Store,
    name: &str,
    before: Option<&str>,
    value: &str,
) -> Result<bool, StoreError> {
    let tx = store.begin().await?;
    let replaced = match before {
        None => {
            let sql = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
            run(&tx.tx, sql, [name.into(), value.into()]).await?
        }
        Some(before) => {
            let sql = "UPDATE settings SET value = $2 WHERE name = $1 AND value = $3";
            run(&tx.tx, sql, [name.into(), value.into(), before.into()]).await?
        }
    };
    tx.commit().await?;
    Ok(replaced > 0)
}
