//! Signs as the platforms do: not with the service's code.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPublicKey};
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use verdict_oracle::rfc3339;
use verdict_tests::service::WEBHOOK_SECRET;

/// What the platforms' sources sign with where the platform has no key form of its own.
pub const SECRET: &str = "a secret of the doors, not of any desk";
/// The address that the sources have, as their platforms know it.
pub const PUBLIC_URL: &str = "https://billing.example/webhooks/desk";

/// All built-in platforms that give a delivery a meaning.
pub const PLATFORMS: [&str; 15] = [
    "ada",
    "chatwoot",
    "freshchat",
    "freshdesk",
    "front",
    "front-rule",
    "gorgias",
    "helpscout",
    "hubspot",
    "intercom",
    "intercom-fin",
    "standard",
    "standard-v1a",
    "zendesk",
    "zendesk-trigger",
];

/// The secret (or public key) that a source of a platform is configured with.
pub fn secret_of(platform: &str) -> String {
    match platform {
        "standard" | "ada" => WEBHOOK_SECRET.into(),
        "standard-v1a" => format!("whpk_{}", STANDARD.encode(ed25519_key().verifying_key().as_bytes())),
        "freshchat" => STANDARD.encode(rsa_key().to_public_key().to_pkcs1_der().unwrap().as_bytes()),
        _ => SECRET.into(),
    }
}

fn rsa_key() -> RsaPrivateKey {
    let pem = include_str!("../../vectors/freshchat-key.pem");
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    RsaPrivateKey::from_pkcs1_der(&STANDARD.decode(der).unwrap()).unwrap()
}

fn ed25519_key() -> SigningKey {
    SigningKey::from_bytes(&[11; 32])
}

fn mac<M: Mac + KeyInit>(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(secret).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// HMAC-SHA256.
pub fn sha256(secret: &str, message: &[u8]) -> Vec<u8> {
    mac::<Hmac<Sha256>>(secret.as_bytes(), message)
}

fn sha1(secret: &str, message: &[u8]) -> Vec<u8> {
    mac::<Hmac<Sha1>>(secret.as_bytes(), message)
}

/// In small letters.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The headers of a delivery as a platform sends it at a time of the service's clock (microseconds), with the secret
/// that [`secret_of`] gives.
pub fn headers(platform: &str, id: &str, body: &[u8], at: i64) -> Vec<(String, String)> {
    headers_with(&secret_of(platform), platform, id, body, at)
}

/// The same with another secret, where the platform's is shared.
pub fn headers_with(secret: &str, platform: &str, id: &str, body: &[u8], at: i64) -> Vec<(String, String)> {
    let (seconds, millis) = ((at / 1_000_000).to_string(), (at / 1_000).to_string());
    let before = |text: &str| [text.as_bytes(), body].concat();
    let whsec = |text: &str| STANDARD.decode(text.strip_prefix("whsec_").unwrap()).unwrap();
    let standard = |prefix: &str, version: &str, signature: &[u8]| {
        vec![
            (format!("{prefix}-id"), id.to_string()),
            (format!("{prefix}-timestamp"), seconds.clone()),
            (format!("{prefix}-signature"), format!("{version},{}", STANDARD.encode(signature))),
        ]
    };
    let own = |headers: &[(&str, &str)]| -> Vec<(String, String)> {
        headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    };
    let signed = before(&format!("{id}.{seconds}."));
    match platform {
        "standard" => standard("webhook", "v1", &mac::<Hmac<Sha256>>(&whsec(secret), &signed)),
        "ada" => standard("svix", "v1", &mac::<Hmac<Sha256>>(&whsec(secret), &signed)),
        "standard-v1a" => standard("webhook", "v1a", &ed25519_key().sign(&signed).to_bytes()),
        "zendesk" | "zendesk-trigger" => {
            let time = rfc3339(at);
            let signature = STANDARD.encode(sha256(secret, &before(&time)));
            own(&[
                ("X-Zendesk-Webhook-Signature", &signature),
                ("X-Zendesk-Webhook-Signature-Timestamp", &time),
            ])
        }
        "intercom" => own(&[("X-Hub-Signature", &format!("sha1={}", hex(&sha1(secret, body))))]),
        "intercom-fin" => {
            let signature = format!("sha256={}", hex(&sha256(secret, body)));
            own(&[("X-Fin-Agent-API-Webhook-Signature", &signature)])
        }
        "chatwoot" => {
            let signature = format!("sha256={}", hex(&sha256(secret, &before(&format!("{seconds}.")))));
            own(&[
                ("X-Chatwoot-Signature", &signature),
                ("X-Chatwoot-Timestamp", &seconds),
                ("X-Chatwoot-Delivery", id),
            ])
        }
        "helpscout" => own(&[
            ("X-HelpScout-Signature", &STANDARD.encode(sha1(secret, body))),
            ("X-HelpScout-Event", "convo.status"),
        ]),
        "hubspot" => {
            let message = [before(&format!("POST{PUBLIC_URL}")), millis.clone().into_bytes()].concat();
            let signature = STANDARD.encode(sha256(secret, &message));
            own(&[("X-HubSpot-Signature-v3", &signature), ("X-HubSpot-Request-Timestamp", &millis)])
        }
        "front" => {
            let signature = STANDARD.encode(sha256(secret, &before(&format!("{millis}:"))));
            own(&[("X-Front-Signature", &signature), ("X-Front-Request-Timestamp", &millis)])
        }
        "front-rule" => own(&[("X-Front-Signature", &STANDARD.encode(sha1(secret, body)))]),
        "freshchat" => {
            let scheme = Pkcs1v15Sign::new::<rsa::sha2::Sha256>();
            let signature = rsa_key().sign(scheme, &Sha256::digest(body)).unwrap();
            own(&[("X-Freshchat-Signature", &STANDARD.encode(signature))])
        }
        "gorgias" | "freshdesk" => own(&[("X-Outcome-Secret", secret)]),
        other => panic!("nobody knows how {other} signs"),
    }
}
